// Owns train.upcycle: the weights of a mixture of experts made from those of a dense model. Called by initial_weights.
#pragma once

#include <string>

#include "worker/interop/safetensors.h"
#include "worker/model/language_model.h"

namespace moelab::worker {

// Sparse upcycling (Komatsuzaki et al., arXiv 2212.05055): every weight of the dense model is taken over, but in MoE layers each
// expert is the FFN of that layer plus N(0, (train.upcycle_noise * std)^2), drawn anew for every expert and for each of gate,
// up and down with the standard deviation of that matrix. Routers keep what `model` drew from its seed, expert biases are zero.
// With combine weights that sum to 1 (core/config_check.h) and no noise, the result computes what the dense model did.
// The same seed gives the same bits. `source` names the dense model in errors: Error(config) when a MoE layer finds no FFN, or
// one of another width.
TensorMap upcycled_weights(const LanguageModel& model, const TensorMap& dense, const std::string& source);

}  // namespace moelab::worker
