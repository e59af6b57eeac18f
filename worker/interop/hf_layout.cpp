#include "worker/interop/hf_layout.h"

#include <algorithm>
#include <utility>

namespace moelab::worker {
namespace {

struct LayoutBuilder {
  HfArchitecture architecture;
  const core::ModelShape& shape;
  std::int64_t gated_shared_width;
  HfLayout& out;

  void add(std::string hf, std::string moedl, std::vector<std::int64_t> extents) {
    out.tensors.push_back({std::move(hf), std::move(moedl), std::move(extents)});
  }

  void swiglu(const std::string& hf, const std::string& moedl, std::int64_t width) {
    add(hf + "gate_proj.weight", moedl + "gate.weight", {width, shape.hidden});
    add(hf + "up_proj.weight", moedl + "up.weight", {width, shape.hidden});
    add(hf + "down_proj.weight", moedl + "down.weight", {shape.hidden, width});
  }

  void zero_swiglu(const std::string& hf, std::int64_t width) {
    out.zeros.push_back({hf + "gate_proj.weight", {width, shape.hidden}});
    out.zeros.push_back({hf + "up_proj.weight", {width, shape.hidden}});
    out.zeros.push_back({hf + "down_proj.weight", {shape.hidden, width}});
  }

  void moe(const std::string& hf, const std::string& moedl) {
    const bool mixtral = architecture == HfArchitecture::mixtral;
    const auto block = hf + (mixtral ? "block_sparse_moe." : "mlp.");
    add(block + "gate.weight", moedl + "router.weight", {shape.experts, shape.hidden});
    out.experts.push_back(
        {block + "experts.", mixtral ? "w1" : "gate_proj", mixtral ? "w3" : "up_proj", mixtral ? "w2" : "down_proj", moedl + "experts."});
    if (architecture == HfArchitecture::glm4_moe) {
      add(block + "gate.e_score_correction_bias", moedl + "router.bias", {shape.experts});
      if (shape.shared > 0) {
        swiglu(block + "shared_experts.", moedl + "shared.", shape.shared * shape.shared_width);
      } else {
        zero_swiglu(block + "shared_experts.", 0);  // the class makes the module whatever its width
      }
    }
    if (architecture == HfArchitecture::qwen2_moe) {
      zero_swiglu(block + "shared_expert.", gated_shared_width);
      out.zeros.push_back({block + "shared_expert_gate.weight", {1, shape.hidden}});
    }
  }

  void layer(std::size_t i) {
    const auto hf = "model.layers." + std::to_string(i) + ".", moedl = "layers." + std::to_string(i) + ".";
    const auto D = shape.hidden, query = shape.heads * shape.head_dim, key = shape.kv_heads * shape.head_dim;
    add(hf + "input_layernorm.weight", moedl + "norm_attn.weight", {D});
    add(hf + "post_attention_layernorm.weight", moedl + "norm_mlp.weight", {D});
    add(hf + "self_attn.q_proj.weight", moedl + "attn.q.weight", {query, D});
    add(hf + "self_attn.k_proj.weight", moedl + "attn.k.weight", {key, D});
    add(hf + "self_attn.v_proj.weight", moedl + "attn.v.weight", {key, D});
    add(hf + "self_attn.o_proj.weight", moedl + "attn.o.weight", {D, query});
    if (shape.query_norm > 0) {
      add(hf + "self_attn.q_norm.weight", moedl + "attn.q_norm.weight", {shape.query_norm});
      add(hf + "self_attn.k_norm.weight", moedl + "attn.k_norm.weight", {shape.key_norm});
    }
    if (shape.moe_layer[i]) {
      moe(hf, moedl + "moe.");
    } else {
      swiglu(hf + "mlp.", moedl + "mlp.", shape.dense_width);
    }
  }
};

}  // namespace

const HfClass& hf_class(HfArchitecture architecture) {
  return *std::find_if(kHfClasses.begin(), kHfClasses.end(), [&](const HfClass& known) { return known.architecture == architecture; });
}

HfLayout hf_layout(HfArchitecture architecture, const core::ModelShape& shape, bool tied_head, std::int64_t gated_shared_width) {
  HfLayout layout;
  LayoutBuilder builder{architecture, shape, gated_shared_width, layout};
  builder.add("model.embed_tokens.weight", "embed_tokens.weight", {shape.vocab, shape.hidden});
  builder.add("model.norm.weight", "norm.weight", {shape.hidden});
  if (!tied_head) builder.add("lm_head.weight", "lm_head.weight", {shape.vocab, shape.hidden});
  for (std::size_t i = 0; i < shape.moe_layer.size(); ++i) builder.layer(i);
  return layout;
}

}  // namespace moelab::worker
