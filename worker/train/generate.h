// Owns text generation from a trained model: choosing the next token. Called by `moelab-worker generate`.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "worker/model/language_model.h"
#include "worker/train/sampling_options.h"

namespace moelab::worker {

// The ids that follow each prompt (at least one id), without it; a text ends after eos_id, which is included. All texts grow
// together, a token a step, each with the keys and values of its past in a cache. A prompt longer than the model's positions,
// or text that grows beyond them, is seen through a window of its last tokens: every position in the window then changes with
// each token, so that the window is read anew for each, without gain from the cache.
// Prompt i draws from (options.seed, first_prompt + i), whatever the other prompts are. The same seed gives the same text on
// every machine that computes the same logits. Sets the model to eval mode.
std::vector<std::vector<std::int32_t>> generate(LanguageModel& model, const std::vector<std::vector<std::int32_t>>& prompts,
                                                const SamplingOptions& options, std::optional<std::int64_t> eos_id,
                                                std::uint64_t first_prompt = 0);

// One draw from logits [V] on the CPU, with `random` uniform in [0, 1).
std::int64_t sample_token(const torch::Tensor& logits_V, const SamplingOptions& options, double random);

}  // namespace moelab::worker
