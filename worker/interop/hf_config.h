// Owns the reading of a Transformers config.json into Moedl's configuration. Called by hf_import only.
#pragma once

#include <filesystem>

#include "core/config.h"
#include "worker/interop/hf_layout.h"

namespace moelab::worker {

struct HfConfig {
  HfArchitecture architecture = HfArchitecture::llama;
  core::RunConfig run;                  // model and moe parts filled; data.block_size lowered to the longest input if need be
  std::int64_t extra_layers = 0;        // multi-token-prediction layers behind the last block; no part of next-token logits
  std::int64_t gated_shared_width = 1;  // of Qwen2-MoE's shared expert, whose weights must be zero
};

// Absent keys mean the defaults of the architecture's configuration class, whose differences matter: RoPE base and epsilon
// of Mixtral, partial rotary of GLM, QKV biases of Qwen2-MoE. Throws Error(config) naming the first key whose value Moedl
// cannot represent, has a wrong type, or is unknown and set.
HfConfig read_hf_config(const std::filesystem::path& file);

}  // namespace moelab::worker
