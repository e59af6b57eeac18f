// Owns the way between a model and a map of named tensors. Used by checkpoints, train.init_from, generation and import.
#pragma once

#include <string>

#include "core/config.h"
#include "worker/interop/safetensors.h"
#include "worker/model/language_model.h"

namespace moelab::worker {

// Every parameter and buffer under its name (worker/model/language_model.h), detached and sharing the model's storage.
TensorMap model_tensors(const LanguageModel& model);

// Copies `tensors` into the model, converting floating types and devices. `source` names the file in errors. Throws
// Error(config) listing every missing, unknown and wrongly shaped tensor; then nothing has been changed. One equality is
// known: an absent expert bias and one that is all zero are the same model; a non-zero bias without a place is refused.
void load_weights(LanguageModel& model, const TensorMap& tensors, const std::string& source);

// The knobs that decide what the same weights compute (epsilon, RoPE base, norms, routing, scores, K, groups, ...) must agree between the
// run and the model it starts from. Throws Error(config) naming every key that differs, with both values. Shapes are left
// to load_weights; balancing, capacity and training knobs may differ.
void check_same_function(const core::RunConfig& run, const core::RunConfig& origin, const std::string& source);

}  // namespace moelab::worker
