// Owns where the parts of a Moedl model lie in Transformers files. hf_import and hf_export read this one list, so that what
// is written is what would be read. Names and layouts are those of Transformers 4.x and 5.x files.
// Shapes: V vocabulary, D model width, E experts, f expert width.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model_shape.h"

namespace moelab::worker {

enum class HfArchitecture { llama, mixtral, olmoe, qwen2_moe, qwen3_moe, glm4_moe };

struct HfClass {
  HfArchitecture architecture;
  std::string_view name;        // config.json's architectures
  std::string_view model_type;  // config.json's model_type
};

inline constexpr std::array<HfClass, 6> kHfClasses{{{HfArchitecture::llama, "LlamaForCausalLM", "llama"},
                                                    {HfArchitecture::mixtral, "MixtralForCausalLM", "mixtral"},
                                                    {HfArchitecture::olmoe, "OlmoeForCausalLM", "olmoe"},
                                                    {HfArchitecture::qwen2_moe, "Qwen2MoeForCausalLM", "qwen2_moe"},
                                                    {HfArchitecture::qwen3_moe, "Qwen3MoeForCausalLM", "qwen3_moe"},
                                                    {HfArchitecture::glm4_moe, "Glm4MoeForCausalLM", "glm4_moe"}}};

const HfClass& hf_class(HfArchitecture architecture);

// One tensor of the same layout on both sides; Moedl's names are in worker/model/language_model.h.
struct HfTensor {
  std::string hf, moedl;
  std::vector<std::int64_t> shape;
};

// The experts of one layer. Files hold one [out, in] matrix an expert under `hf` + number + "." + gate, up or down + ".weight";
// Moedl stacks them transposed: moedl + "gate_up" [E, D, 2f], gate columns first, and moedl + "down" [E, f, D].
struct HfExperts {
  std::string hf, gate, up, down;
  std::string moedl;
};

// A tensor that the architecture demands and Moedl has not: all zero, so that it adds nothing.
struct HfZero {
  std::string hf;
  std::vector<std::int64_t> shape;
};

struct HfLayout {
  std::vector<HfTensor> tensors;  // lm_head is left out when the head is tied
  std::vector<HfExperts> experts;
  std::vector<HfZero> zeros;
};

// gated_shared_width: of the gated shared expert that every MoE layer of Qwen2-MoE has; it must be zero.
HfLayout hf_layout(HfArchitecture architecture, const core::ModelShape& shape, bool tied_head, std::int64_t gated_shared_width = 1);

}  // namespace moelab::worker
