// Owns text generation from a trained model: choosing the next token. Called by `moelab-worker generate`.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "worker/model/language_model.h"
#include "worker/train/sampling_options.h"

namespace moelab::worker {

// The ids that follow `prompt` (at least one id), without it; ends after eos_id, which is included. A prompt longer than
// the model's positions, or text that grows beyond them, is seen through a window of its last tokens.
// The same seed gives the same text on every machine that computes the same logits. Sets the model to eval mode.
std::vector<std::int32_t> generate(LanguageModel& model, const std::vector<std::int32_t>& prompt, const SamplingOptions& options,
                                   std::optional<std::int64_t> eos_id);

// One draw from logits [V] on the CPU, with `random` uniform in [0, 1).
std::int64_t sample_token(const torch::Tensor& logits_V, const SamplingOptions& options, double random);

}  // namespace moelab::worker
