// Shapes: D model width, E experts, f expert width.
#include "worker/interop/hf_export.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/field_io.h"
#include "core/model_shape.h"
#include "worker/interop/inference_form.h"

namespace moelab::worker {
namespace {

using nlohmann::json;

// What of a configuration decides the function of the trained model.
struct ModelTraits {
  core::ModelShape shape;
  std::int64_t first_moe = 0;  // layers before the first MoE layer
  bool every_layer_moe = false;
  bool dense_then_moe = false;  // all layers from first_moe on are MoE
  bool weights_sum_to_one = false;
  bool limited_groups = false;
  bool has_bias = false;  // some expert bias is not zero
};

bool any_bias(const TensorMap& weights) {
  return std::any_of(weights.begin(), weights.end(), [](const TensorMap::value_type& entry) {
    return entry.first.ends_with(".moe.router.bias") && entry.second.ne(0).any().item<bool>();
  });
}

ModelTraits traits_of(const core::RunConfig& run, const TensorMap& weights) {
  ModelTraits traits{.shape = core::model_shape(run)};
  const auto& layers = traits.shape.moe_layer;
  const auto first = std::find(layers.begin(), layers.end(), true);
  traits.first_moe = first - layers.begin();
  traits.dense_then_moe = std::all_of(first, layers.end(), [](bool moe) { return moe; });
  traits.every_layer_moe = traits.first_moe == 0 && traits.dense_then_moe;
  const bool constant_gate = traits.shape.active == 1 && run.moe.top1_gate != core::Top1Gate::prob;
  traits.weights_sum_to_one = traits.shape.normalize_topk || constant_gate;
  traits.limited_groups = run.moe.topk_group < run.moe.n_group;
  traits.has_bias = any_bias(weights);
  return traits;
}

// The reason why an architecture is no exact representation ends the search: the others would be further off.
class ArchitectureChoice {
 public:
  ArchitectureChoice(const core::RunConfig& run, const ModelTraits& traits, std::string source)
      : run_(run), traits_(traits), source_(std::move(source)) {}

  HfArchitecture choose() const {
    if (traits_.shape.experts == 1) return dense();
    if (run_.moe.routing != core::Routing::token_choice) {
      refuse("moe.routing = " + core::field_json(run_, "moe.routing").get<std::string>() + " is known to no Transformers architecture");
    }
    if (run_.moe.eval_capacity_factor > 0) {
      refuse("moe.eval_capacity_factor > 0 drops assignments in evaluation, which no Transformers architecture does");
    }
    return traits_.shape.sigmoid_scores ? sigmoid() : softmax();
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw core::Error(core::ErrorKind::config, source_ + " cannot be exported: " + why);
  }

  HfArchitecture dense() const {
    if (run_.model.qk_norm == core::QkNorm::head) return HfArchitecture::qwen3_moe;
    if (run_.model.qk_norm == core::QkNorm::full) refuse("model.qk_norm = full exists in Transformers only where every layer is MoE");
    if (traits_.shape.hidden % traits_.shape.heads != 0) {
      refuse("LlamaForCausalLM needs a model.hidden_size that model.num_attention_heads divides");
    }
    return HfArchitecture::llama;
  }

  HfArchitecture softmax() const {
    if (traits_.shape.shared > 0) {
      refuse("softmax scores with ungated shared experts (moe.num_shared_experts) exist in no supported Transformers architecture");
    }
    if (traits_.limited_groups) {
      refuse("softmax scores with limited groups (moe.topk_group) exist in no supported Transformers architecture");
    }
    if (traits_.has_bias) refuse("an expert bias that is not zero exists in Transformers only with sigmoid scores");
    if (run_.model.qk_norm == core::QkNorm::head) return HfArchitecture::qwen3_moe;
    if (run_.model.qk_norm == core::QkNorm::full) {
      if (!traits_.every_layer_moe) refuse("model.qk_norm = full exists in Transformers only where every layer is MoE");
      return HfArchitecture::olmoe;
    }
    return traits_.every_layer_moe && traits_.weights_sum_to_one ? HfArchitecture::mixtral : HfArchitecture::qwen2_moe;
  }

  HfArchitecture sigmoid() const {
    const auto& shape = traits_.shape;
    if (!traits_.dense_then_moe) refuse("sigmoid scores exist in Transformers only where all dense layers come before the MoE layers");
    if (run_.model.qk_norm == core::QkNorm::full) {
      refuse("sigmoid scores with model.qk_norm = full exist in no supported Transformers architecture");
    }
    if (traits_.limited_groups && run_.moe.group_score != core::GroupScore::top2sum) {
      refuse("sigmoid scores with limited groups exist in Transformers only with moe.group_score = top2sum");
    }
    if (traits_.has_bias && run_.moe.lb_bias_target != core::BiasTarget::score) {
      refuse("an expert bias on logits (moe.lb_bias_target) exists in no supported Transformers architecture");
    }
    if (shape.shared * shape.shared_width % shape.expert_width != 0) {
      refuse("Glm4MoeForCausalLM needs shared experts whose total width is a multiple of the routed width " +
             std::to_string(shape.expert_width));
    }
    return HfArchitecture::glm4_moe;
  }

  const core::RunConfig& run_;
  const ModelTraits& traits_;
  std::string source_;
};

json optional_id(const std::optional<std::int64_t>& id) {
  return id ? json(*id) : json(nullptr);
}

std::string type_name(torch::ScalarType type) {
  return type == torch::kBFloat16 ? "bfloat16" : type == torch::kFloat16 ? "float16" : type == torch::kFloat64 ? "float64" : "float32";
}

// The keys that every class has. The RoPE base stands at the top, where 4.x looks for it; 5.x takes it from there too.
json common_keys(const core::RunConfig& run, const core::ModelShape& shape, HfArchitecture architecture) {
  const auto& model = run.model;
  const auto& known = hf_class(architecture);
  return {{"architectures", {known.name}},
          {"model_type", known.model_type},
          {"vocab_size", shape.vocab},
          {"hidden_size", shape.hidden},
          {"intermediate_size", shape.dense_width},
          {"num_hidden_layers", shape.layers},
          {"num_attention_heads", shape.heads},
          {"num_key_value_heads", shape.kv_heads},
          {"head_dim", shape.head_dim},
          {"hidden_act", "silu"},
          {"max_position_embeddings", model.max_position_embeddings.value_or(run.data.block_size)},
          {"initializer_range", model.initializer_range},
          {"rms_norm_eps", model.rms_norm_eps},
          {"rope_theta", model.rope_theta},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"tie_word_embeddings", model.tie_word_embeddings},
          {"bos_token_id", optional_id(model.bos_token_id)},
          {"eos_token_id", optional_id(model.eos_token_id)},
          {"pad_token_id", optional_id(model.pad_token_id)},
          {"use_cache", true}};
}

void add_qwen_keys(json& keys, const ModelTraits& traits) {
  const auto& shape = traits.shape;
  json dense_layers = json::array();
  for (std::size_t i = 0; i < shape.moe_layer.size(); ++i) {
    if (!shape.moe_layer[i]) dense_layers.push_back(i);
  }
  keys["num_experts"] = shape.experts;
  keys["num_experts_per_tok"] = shape.active;
  keys["moe_intermediate_size"] = shape.expert_width;
  keys["norm_topk_prob"] = traits.weights_sum_to_one;
  keys["decoder_sparse_step"] = 1;
  keys["mlp_only_layers"] = dense_layers;
  keys["use_sliding_window"] = false;
  keys["sliding_window"] = nullptr;
}

void add_glm_keys(json& keys, const core::RunConfig& run, const ModelTraits& traits) {
  const auto& shape = traits.shape;
  keys["n_routed_experts"] = shape.experts;
  keys["num_experts_per_tok"] = shape.active;
  keys["n_shared_experts"] = shape.shared * shape.shared_width / shape.expert_width;
  keys["moe_intermediate_size"] = shape.expert_width;
  keys["first_k_dense_replace"] = traits.first_moe;
  keys["n_group"] = traits.limited_groups ? run.moe.n_group : 1;
  keys["topk_group"] = traits.limited_groups ? run.moe.topk_group : 1;
  keys["norm_topk_prob"] = traits.weights_sum_to_one;
  keys["routed_scaling_factor"] = run.moe.routed_scaling_factor;
  keys["use_qk_norm"] = run.model.qk_norm == core::QkNorm::head;
  keys["partial_rotary_factor"] = 1.0;  // the class default rotates half of each head
  keys["num_nextn_predict_layers"] = 0;
}

json config_keys(const core::RunConfig& run, const ModelTraits& traits, HfArchitecture architecture) {
  const auto& shape = traits.shape;
  json keys = common_keys(run, shape, architecture);
  switch (architecture) {
    case HfArchitecture::llama:
      keys["mlp_bias"] = false;
      break;
    case HfArchitecture::mixtral:
      keys["intermediate_size"] = shape.expert_width;
      keys["num_local_experts"] = shape.experts;
      keys["num_experts_per_tok"] = shape.active;
      keys["sliding_window"] = nullptr;
      break;
    case HfArchitecture::olmoe:
      keys["intermediate_size"] = shape.expert_width;
      keys["num_experts"] = shape.experts;
      keys["num_experts_per_tok"] = shape.active;
      keys["norm_topk_prob"] = traits.weights_sum_to_one;
      keys["clip_qkv"] = nullptr;
      break;
    case HfArchitecture::qwen2_moe:
      add_qwen_keys(keys, traits);
      keys["qkv_bias"] = false;
      keys["shared_expert_intermediate_size"] = 1;
      break;
    case HfArchitecture::qwen3_moe:
      add_qwen_keys(keys, traits);
      break;
    case HfArchitecture::glm4_moe:
      add_glm_keys(keys, run, traits);
      break;
  }
  return keys;
}

// The weights, each to be taken once and none to be left over.
class Weights {
 public:
  Weights(const TensorMap& tensors, std::string source) : tensors_(tensors), source_(std::move(source)) {}

  [[noreturn]] void refuse(const std::string& name, const std::string& why) const {
    throw core::Error(core::ErrorKind::storage,
                      source_ + ": tensor " + name + " " + why + "; the directory holds another model than its configuration says");
  }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  torch::Tensor take(const std::string& name, torch::IntArrayRef shape) {
    auto node = tensors_.extract(name);
    if (node.empty()) refuse(name, "is missing");
    if (node.mapped().sizes() != shape) refuse(name, "has the wrong shape");
    return std::move(node.mapped());
  }
  void refuse_rest() const {
    for (const auto& [name, tensor] : tensors_) {
      // A bias that is all zero is the same model without it; the others were refused with the architecture.
      if (!name.ends_with(".moe.router.bias")) refuse(name, "has no place in the model");
    }
  }

 private:
  TensorMap tensors_;
  std::string source_;
};

TensorMap hf_tensors(const HfLayout& layout, const core::ModelShape& shape, double down_factor, Weights weights) {
  TensorMap out;
  for (const auto& tensor : layout.tensors) {
    const bool no_bias = tensor.moedl.ends_with(".moe.router.bias") && !weights.has(tensor.moedl);
    out[tensor.hf] = no_bias ? torch::zeros(tensor.shape) : weights.take(tensor.moedl, tensor.shape);
  }
  const auto D = shape.hidden, E = shape.experts, f = shape.expert_width;
  for (const auto& experts : layout.experts) {
    const auto gate_up_EDF = weights.take(experts.moedl + "gate_up", {E, D, 2 * f});
    auto down_EfD = weights.take(experts.moedl + "down", {E, f, D});
    if (down_factor != 1) down_EfD = down_EfD.to(torch::kFloat32) * down_factor;
    for (std::int64_t e = 0; e < E; ++e) {
      const auto expert = experts.hf + std::to_string(e) + ".";
      out[expert + experts.gate + ".weight"] = gate_up_EDF[e].narrow(1, 0, f).t();
      out[expert + experts.up + ".weight"] = gate_up_EDF[e].narrow(1, f, f).t();
      out[expert + experts.down + ".weight"] = down_EfD[e].t();
    }
  }
  const auto type = out.at("model.embed_tokens.weight").scalar_type();
  for (const auto& zero : layout.zeros) out[zero.hf] = torch::zeros(zero.shape, type);
  weights.refuse_rest();
  return out;
}

}  // namespace

ExportedModel export_transformers(const core::RunConfig& trained, const TensorMap& all_weights, const std::string& source) {
  const core::RunConfig config = inference_form(trained);
  const TensorMap weights = inference_weights(all_weights);
  const auto traits = traits_of(config, weights);
  ExportedModel exported{.architecture = ArchitectureChoice(config, traits, source).choose(), .config = {}, .tensors = {}};
  const bool fold = traits.shape.experts > 1 && exported.architecture != HfArchitecture::glm4_moe;
  const auto layout = hf_layout(exported.architecture, traits.shape, config.model.tie_word_embeddings);
  exported.tensors = hf_tensors(layout, traits.shape, fold ? config.moe.routed_scaling_factor : 1, Weights(weights, source));
  auto keys = config_keys(config, traits, exported.architecture);
  keys["torch_dtype"] = type_name(exported.tensors.at("model.embed_tokens.weight").scalar_type());
  exported.config = keys.dump(2) + "\n";
  return exported;
}

}  // namespace moelab::worker
