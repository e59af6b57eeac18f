// Owns the reading of Transformers model directories (config.json + safetensors). Used by train.init_from, generation and
// the parity tests. Known architectures: LlamaForCausalLM, MixtralForCausalLM, Glm4MoeForCausalLM, with the names and
// layouts of Transformers 4.x and 5.x files.
// Nothing is guessed: absent keys mean the class default of the architecture, and a value that Moedl cannot represent is
// refused by its name, because a silently different model is the worst outcome.
#pragma once

#include <filesystem>

#include "core/config.h"
#include "worker/interop/safetensors.h"

namespace moelab::worker {

struct ImportedModel {
  core::RunConfig config;  // model and moe parts as the directory says, everything else default
  TensorMap tensors;       // under the names of worker/model/language_model.h, in the file's floating type
};

// The directory has a config.json that names an architecture.
bool is_transformers_directory(const std::filesystem::path& directory);

// Throws Error(config) for what cannot be represented or is missing, Error(not_found | storage) for files.
// A non-zero expert bias exists in Moedl only under bias control, so such a model comes with moe.lb_gamma = 0.01
// (proportional); an all-zero one comes with moe.lb_gamma = 0 and moe.score_fn = sigmoid.
ImportedModel import_transformers(const std::filesystem::path& directory);

}  // namespace moelab::worker
