#include "worker/interop/hf_config.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/error.h"

namespace moelab::worker {
namespace {

using nlohmann::json;

// Keys that do not change the logits, whatever their value.
const std::set<std::string> kNeutralKeys{
    "architectures", "model_type", "dtype",    "torch_dtype", "transformers_version", "use_cache",
    "_name_or_path", "id2label",   "label2id", "return_dict", "output_router_logits", "router_aux_loss_coef"};

// A JSON object that remembers which keys were asked for, so that what nobody asked for can be refused.
class Keys {
 public:
  Keys(json object, std::string where) : object_(std::move(object)), where_(std::move(where)) {}

  [[noreturn]] void refuse(const std::string& key, const std::string& why) const {
    throw core::Error(core::ErrorKind::config, where_ + ": " + key + " " + why);
  }
  // What Moedl has one value for. `off` is that value.
  template <class T>
  void require(const std::string& key, const T& absent, const T& off) {
    const T value = get<T>(key, absent);
    if (value != off) refuse(key, "= " + json(value).dump() + " cannot be represented; only " + json(off).dump() + " can");
  }
  void require_null(const std::string& key) {
    if (const json* value = find(key)) refuse(key, "= " + value->dump() + " cannot be represented; only null can");
  }
  template <class T>
  T get(const std::string& key, const T& absent) {
    const json* value = find(key);
    return value ? convert<T>(key, *value) : absent;
  }
  template <class T>
  std::optional<T> get_optional(const std::string& key) {
    const json* value = find(key);
    return value ? std::optional<T>(convert<T>(key, *value)) : std::nullopt;
  }
  std::int64_t get_count(const std::string& key, std::int64_t absent, std::int64_t least) {
    const auto value = get<std::int64_t>(key, absent);
    if (value < least) refuse(key, "= " + std::to_string(value) + " must be at least " + std::to_string(least));
    return value;
  }
  // Present and not null.
  const json* find(const std::string& key) {
    seen_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  // An unknown key that is set may change the model; null and false mean that whatever it names is off.
  void refuse_unknown() const {
    for (const auto& [key, value] : object_.items()) {
      const bool off = value.is_null() || value == false;
      if (!off && !seen_.contains(key) && !kNeutralKeys.contains(key)) {
        refuse(key, "is not known, so its effect is not either; remove it from the file if it has none");
      }
    }
  }

 private:
  template <class T>
  T convert(const std::string& key, const json& value) const {
    bool right = false;
    if constexpr (std::is_same_v<T, bool>) {
      right = value.is_boolean();
    } else if constexpr (std::is_integral_v<T>) {
      right = value.is_number_integer();
    } else if constexpr (std::is_floating_point_v<T>) {
      right = value.is_number();
    } else {
      right = value.is_string();
    }
    if (!right) refuse(key, "= " + value.dump() + " has the wrong type");
    return value.get<T>();
  }

  json object_;
  std::string where_;
  std::set<std::string> seen_;
};

struct ClassDefaults {
  std::int64_t vocab_size, hidden_size, intermediate_size, layers, heads, max_positions;
  std::optional<std::int64_t> kv_heads;  // none = as many as heads
  double rope_theta, rms_norm_eps, partial_rotary_factor;
  std::optional<std::int64_t> bos, eos;
};

const ClassDefaults& defaults_of(HfArchitecture architecture) {
  static const ClassDefaults llama{32000, 4096, 11008, 32, 32, 2048, std::nullopt, 1e4, 1e-6, 1.0, 1, 2};
  static const ClassDefaults mixtral{32000, 4096, 14336, 32, 32, 131072, 8, 1e6, 1e-5, 1.0, 1, 2};
  static const ClassDefaults glm{151552, 4096, 10944, 46, 96, 131072, 8, 1e4, 1e-5, 0.5, std::nullopt, std::nullopt};
  switch (architecture) {
    case HfArchitecture::llama:
      return llama;
    case HfArchitecture::mixtral:
      return mixtral;
    case HfArchitecture::glm4_moe:
      return glm;
  }
  throw core::Error(core::ErrorKind::internal, "an architecture without class defaults");
}

HfArchitecture architecture_of(Keys& keys) {
  const json* names = keys.find("architectures");
  if (!names || !names->is_array() || names->size() != 1 || !names->front().is_string())
    keys.refuse("architectures", "must name one class");
  const auto name = names->front().get<std::string>();
  if (name == "LlamaForCausalLM") return HfArchitecture::llama;
  if (name == "MixtralForCausalLM") return HfArchitecture::mixtral;
  if (name == "Glm4MoeForCausalLM") return HfArchitecture::glm4_moe;
  keys.refuse("architectures", "= " + name + " cannot be read; only LlamaForCausalLM, MixtralForCausalLM and Glm4MoeForCausalLM can");
}

// Transformers 5 nests the base under rope_parameters, 4 keeps it beside the other keys.
void read_rope(Keys& keys, const std::string& where, const ClassDefaults& defaults, core::ModelConfig& model) {
  keys.require_null("rope_scaling");
  const json* nested = keys.find("rope_parameters");
  if (nested && !nested->is_object()) keys.refuse("rope_parameters", "is not an object");
  Keys rope(nested ? *nested : json::object(), where + ": rope_parameters");
  rope.require<std::string>("rope_type", "default", "default");
  const double theta = keys.get("rope_theta", defaults.rope_theta);
  model.rope_theta = rope.get("rope_theta", theta);
  const double partial = keys.get("partial_rotary_factor", defaults.partial_rotary_factor);
  rope.require("partial_rotary_factor", partial, 1.0);
  rope.refuse_unknown();
}

std::optional<std::int64_t> token_id(Keys& keys, const std::string& key, std::optional<std::int64_t> absent, bool present) {
  if (!present) return absent;
  const json* value = keys.find(key);
  if (!value) return std::nullopt;
  if (value->is_array() && value->size() == 1) value = &value->front();
  if (!value->is_number_unsigned()) keys.refuse(key, "= " + value->dump() + " cannot be represented; only one id or null can");
  return value->get<std::int64_t>();
}

void read_trunk(Keys& keys, const json& object, const std::string& where, const ClassDefaults& defaults, core::ModelConfig& model) {
  model.vocab_size = keys.get_count("vocab_size", defaults.vocab_size, 1);
  model.hidden_size = keys.get_count("hidden_size", defaults.hidden_size, 1);
  model.num_hidden_layers = keys.get_count("num_hidden_layers", defaults.layers, 1);
  model.num_attention_heads = keys.get_count("num_attention_heads", defaults.heads, 1);
  // An explicit null means one key/value head per query head, an absent key the class default.
  const auto absent_kv =
      object.contains("num_key_value_heads") ? model.num_attention_heads : defaults.kv_heads.value_or(model.num_attention_heads);
  model.num_key_value_heads = keys.get_count("num_key_value_heads", absent_kv, 1);
  model.head_dim = keys.get_count("head_dim", model.hidden_size / model.num_attention_heads, 1);
  if (model.num_attention_heads % *model.num_key_value_heads != 0) keys.refuse("num_key_value_heads", "must divide num_attention_heads");
  if (*model.head_dim % 2 != 0) keys.refuse("head_dim", "must be even");
  model.intermediate_size = keys.get_count("intermediate_size", defaults.intermediate_size, 1);
  model.max_position_embeddings = keys.get_count("max_position_embeddings", defaults.max_positions, 1);
  model.rms_norm_eps = keys.get("rms_norm_eps", defaults.rms_norm_eps);
  model.initializer_range = keys.get("initializer_range", 0.02);
  model.tie_word_embeddings = keys.get("tie_word_embeddings", false);
  model.bos_token_id = token_id(keys, "bos_token_id", defaults.bos, object.contains("bos_token_id"));
  model.eos_token_id = token_id(keys, "eos_token_id", defaults.eos, object.contains("eos_token_id"));
  model.pad_token_id = token_id(keys, "pad_token_id", std::nullopt, object.contains("pad_token_id"));
  read_rope(keys, where, defaults, model);
  keys.require<std::string>("hidden_act", "silu", "silu");
  keys.require("attention_bias", false, false);
  keys.require("mlp_bias", false, false);
  keys.require("attention_dropout", 0.0, 0.0);
  keys.require<std::int64_t>("pretraining_tp", 1, 1);
  keys.require_null("sliding_window");
  keys.require_null("quantization_config");
}

void read_active_experts(Keys& keys, std::int64_t absent, core::MoeConfig& moe) {
  moe.num_active_experts = keys.get_count("num_experts_per_tok", absent, 1);
  if (moe.num_active_experts > moe.num_experts) keys.refuse("num_experts_per_tok", "is larger than the number of experts");
}

void read_mixtral(Keys& keys, core::RunConfig& run) {
  run.moe.num_experts = keys.get_count("num_local_experts", 8, 2);
  read_active_experts(keys, 2, run.moe);
  run.moe.score_fn = core::ScoreFn::softmax;
  run.moe.norm_topk_prob = core::NormTopk::yes;
  keys.require("router_jitter_noise", 0.0, 0.0);
}

void read_glm4_moe(Keys& keys, HfConfig& out) {
  auto& moe = out.run.moe;
  moe.num_experts = keys.get_count("n_routed_experts", 128, 2);
  read_active_experts(keys, 8, moe);
  moe.num_shared_experts = keys.get_count("n_shared_experts", 1, 0);
  moe.moe_intermediate_size = keys.get_count("moe_intermediate_size", 1408, 1);
  moe.skip_first_n_moe = keys.get_count("first_k_dense_replace", 1, 0);
  moe.score_fn = core::ScoreFn::sigmoid;
  moe.norm_topk_prob = keys.get("norm_topk_prob", true) ? core::NormTopk::yes : core::NormTopk::no;
  moe.routed_scaling_factor = keys.get("routed_scaling_factor", 1.0);
  // Keeping every group is the same as having none.
  const auto groups = keys.get_count("n_group", 1, 1), kept = keys.get_count("topk_group", 1, 1);
  if (kept != groups) keys.refuse("topk_group", "below n_group cannot be represented: group-limited routing is not supported");
  keys.require("use_qk_norm", false, false);
  out.extra_layers = keys.get_count("num_nextn_predict_layers", 1, 0);
  if (moe.skip_first_n_moe >= out.run.model.num_hidden_layers) moe = core::MoeConfig{};  // every layer is dense
}

}  // namespace

HfConfig read_hf_config(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw core::Error(core::ErrorKind::not_found, "cannot read " + file.string() + "; name a Transformers model directory");
  const json object = json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw core::Error(core::ErrorKind::config, file.string() + ": is not a JSON object");
  Keys keys(object, file.string());
  HfConfig out;
  out.architecture = architecture_of(keys);
  read_trunk(keys, object, file.string(), defaults_of(out.architecture), out.run.model);
  if (out.architecture == HfArchitecture::mixtral) read_mixtral(keys, out.run);
  if (out.architecture == HfArchitecture::glm4_moe) read_glm4_moe(keys, out);
  keys.refuse_unknown();
  out.run.data.block_size = std::min(out.run.data.block_size, *out.run.model.max_position_embeddings);
  return out;
}

}  // namespace moelab::worker
