#include "worker/interop/hf_config.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "core/config_check.h"
#include "core/config_json.h"
#include "core/error.h"
#include "worker/interop/hf_keys.h"

namespace moelab::worker {
namespace {

using nlohmann::json;

struct ClassDefaults {
  std::int64_t vocab_size, hidden_size, intermediate_size, layers, heads, max_positions;
  std::optional<std::int64_t> kv_heads;  // none = as many as heads
  double rope_theta, rms_norm_eps, partial_rotary_factor;
  std::optional<std::int64_t> bos, eos, pad;
};

const ClassDefaults& defaults_of(HfArchitecture architecture) {
  constexpr auto none = std::nullopt;
  static const ClassDefaults llama{32000, 4096, 11008, 32, 32, 2048, none, 1e4, 1e-6, 1.0, 1, 2, none};
  static const ClassDefaults mixtral{32000, 4096, 14336, 32, 32, 131072, 8, 1e6, 1e-5, 1.0, 1, 2, none};
  static const ClassDefaults olmoe{50304, 2048, 2048, 16, 16, 4096, none, 1e4, 1e-5, 1.0, none, 50279, 1};
  static const ClassDefaults qwen2{151936, 2048, 5632, 24, 16, 32768, 16, 1e4, 1e-6, 1.0, none, none, none};
  static const ClassDefaults qwen3{151936, 2048, 6144, 24, 32, 32768, 4, 1e4, 1e-6, 1.0, none, none, none};
  static const ClassDefaults glm{151552, 4096, 10944, 46, 96, 131072, 8, 1e4, 1e-5, 0.5, none, none, none};
  switch (architecture) {
    case HfArchitecture::llama:
      return llama;
    case HfArchitecture::mixtral:
      return mixtral;
    case HfArchitecture::olmoe:
      return olmoe;
    case HfArchitecture::qwen2_moe:
      return qwen2;
    case HfArchitecture::qwen3_moe:
      return qwen3;
    case HfArchitecture::glm4_moe:
      return glm;
  }
  throw core::Error(core::ErrorKind::internal, "an architecture without class defaults");
}

// Architectures that people ask for and that have no counterpart, with what stands in the way.
const std::pair<const char*, const char*> kUnrepresentable[] = {
    {"GPT2LMHeadModel", "it has LayerNorm, learned positions, GELU and biases, and Moedl has none of them"},
    {"DeepseekV3ForCausalLM", "its latent attention normalises the latent, which Moedl's attention cannot do"},
    {"DeepseekV2ForCausalLM", "its latent attention normalises the latent, which Moedl's attention cannot do"}};

HfArchitecture architecture_of(HfKeys& keys) {
  const json* names = keys.find("architectures");
  if (!names || !names->is_array() || names->size() != 1 || !names->front().is_string())
    keys.refuse("architectures", "must name one class");
  const auto name = names->front().get<std::string>();
  std::string readable;
  for (const auto& known : kHfClasses) {
    if (name == known.name) return known.architecture;
    readable += (readable.empty() ? "" : ", ") + std::string(known.name);
  }
  for (const auto& [other, reason] : kUnrepresentable) {
    if (name == other) keys.refuse("architectures", "= " + name + " cannot be represented: " + reason);
  }
  keys.refuse("architectures", "= " + name + " cannot be read; only " + readable + " can");
}

// Transformers 5 nests the base under rope_parameters, 4 keeps it beside the other keys.
void read_rope(HfKeys& keys, const std::string& where, const ClassDefaults& defaults, core::ModelConfig& model) {
  keys.require_null("rope_scaling");
  const json* nested = keys.find("rope_parameters");
  if (nested && !nested->is_object()) keys.refuse("rope_parameters", "is not an object");
  HfKeys rope(nested ? *nested : json::object(), where + ": rope_parameters");
  rope.require<std::string>("rope_type", "default", "default");
  const double theta = keys.get("rope_theta", defaults.rope_theta);
  model.rope_theta = rope.get("rope_theta", theta);
  const double partial = keys.get("partial_rotary_factor", defaults.partial_rotary_factor);
  rope.require("partial_rotary_factor", partial, 1.0);
  rope.refuse_unknown();
}

std::optional<std::int64_t> token_id(HfKeys& keys, const std::string& key, std::optional<std::int64_t> absent) {
  if (!keys.contains(key)) return absent;
  const json* value = keys.find(key);
  if (!value) return std::nullopt;
  if (value->is_array() && value->size() == 1) value = &value->front();
  if (!value->is_number_unsigned()) keys.refuse(key, "= " + value->dump() + " cannot be represented; only one id or null can");
  return value->get<std::int64_t>();
}

// Version 5 lists the attention of each layer; all must see everything before them.
void require_full_attention(HfKeys& keys) {
  const json* layers = keys.find("layer_types");
  if (!layers) return;
  const auto is_full = [](const json& type) { return type == "full_attention"; };
  if (!layers->is_array() || !std::all_of(layers->begin(), layers->end(), is_full))
    keys.refuse("layer_types", "cannot be represented; only full_attention in every layer can");
}

void read_trunk(HfKeys& keys, const std::string& where, HfArchitecture architecture, core::ModelConfig& model) {
  const ClassDefaults& defaults = defaults_of(architecture);
  model.vocab_size = keys.get_count("vocab_size", defaults.vocab_size, 1);
  model.hidden_size = keys.get_count("hidden_size", defaults.hidden_size, 1);
  model.num_hidden_layers = keys.get_count("num_hidden_layers", defaults.layers, 1);
  model.num_attention_heads = keys.get_count("num_attention_heads", defaults.heads, 1);
  // An explicit null means one key/value head per query head, an absent key the class default.
  const auto absent_kv =
      keys.contains("num_key_value_heads") ? model.num_attention_heads : defaults.kv_heads.value_or(model.num_attention_heads);
  model.num_key_value_heads = keys.get_count("num_key_value_heads", absent_kv, 1);
  model.head_dim = keys.get_count("head_dim", model.hidden_size / model.num_attention_heads, 1);
  if (model.num_attention_heads % *model.num_key_value_heads != 0) keys.refuse("num_key_value_heads", "must divide num_attention_heads");
  if (*model.head_dim % 2 != 0) keys.refuse("head_dim", "must be even");
  model.intermediate_size = keys.get_count("intermediate_size", defaults.intermediate_size, 1);
  model.max_position_embeddings = keys.get_count("max_position_embeddings", defaults.max_positions, 1);
  model.rms_norm_eps = keys.get("rms_norm_eps", defaults.rms_norm_eps);
  model.initializer_range = keys.get("initializer_range", 0.02);
  model.tie_word_embeddings = keys.get("tie_word_embeddings", false);
  model.bos_token_id = token_id(keys, "bos_token_id", defaults.bos);
  model.eos_token_id = token_id(keys, "eos_token_id", defaults.eos);
  model.pad_token_id = token_id(keys, "pad_token_id", defaults.pad);
  read_rope(keys, where, defaults, model);
  keys.require<std::string>("hidden_act", "silu", "silu");
  keys.require("attention_bias", false, false);
  keys.require("mlp_bias", false, false);
  keys.require("attention_dropout", 0.0, 0.0);
  keys.require<std::int64_t>("pretraining_tp", 1, 1);
  keys.require_null("quantization_config");
  require_full_attention(keys);
}

void read_active_experts(HfKeys& keys, std::int64_t absent, core::MoeConfig& moe) {
  moe.num_active_experts = keys.get_count("num_experts_per_tok", absent, 1);
  if (moe.num_active_experts > moe.num_experts) keys.refuse("num_experts_per_tok", "is larger than the number of experts");
}

core::NormTopk normalised(HfKeys& keys, bool absent) {
  return keys.get("norm_topk_prob", absent) ? core::NormTopk::yes : core::NormTopk::no;
}

void read_mixtral(HfKeys& keys, core::MoeConfig& moe) {
  moe.num_experts = keys.get_count("num_local_experts", "num_experts", 8, 2);
  read_active_experts(keys, 2, moe);
  moe.score_fn = core::ScoreFn::softmax;
  moe.norm_topk_prob = core::NormTopk::yes;
  keys.require("router_jitter_noise", 0.0, 0.0);
  keys.require_null("sliding_window");
}

void read_olmoe(HfKeys& keys, core::RunConfig& run) {
  run.moe.num_experts = keys.get_count("num_experts", "num_local_experts", 64, 2);
  read_active_experts(keys, 8, run.moe);
  run.moe.score_fn = core::ScoreFn::softmax;
  run.moe.norm_topk_prob = normalised(keys, false);
  run.model.qk_norm = core::QkNorm::full;
  keys.require_null("clip_qkv");
  keys.require_null("sliding_window");
}

// Layer i is MoE unless mlp_only_layers lists it or decoder_sparse_step does not divide i + 1.
std::vector<std::int64_t> qwen_moe_layers(HfKeys& keys, std::int64_t layers) {
  const auto step = keys.get_count("decoder_sparse_step", 1, 1);
  const json* listed = keys.find("mlp_only_layers");
  const auto is_layer = [&](const json& number) { return number.is_number_unsigned() && number < layers; };
  if (listed && !(listed->is_array() && std::all_of(listed->begin(), listed->end(), is_layer))) {
    keys.refuse("mlp_only_layers", "= " + listed->dump() + " is no list of layers of this model");
  }
  std::vector<std::int64_t> moe;
  for (std::int64_t i = 0; i < layers; ++i) {
    const bool dense = listed && std::find(listed->begin(), listed->end(), json(i)) != listed->end();
    if (!dense && (i + 1) % step == 0) moe.push_back(i);
  }
  return moe;
}

void read_qwen(HfKeys& keys, HfConfig& out) {
  const bool third = out.architecture == HfArchitecture::qwen3_moe;
  auto& moe = out.run.moe;
  const auto layers = out.run.model.num_hidden_layers;
  const auto moe_layers = qwen_moe_layers(keys, layers);
  if (third) out.run.model.qk_norm = core::QkNorm::head;
  if (!third) keys.require("qkv_bias", true, false);
  if (!third) out.gated_shared_width = keys.get_count("shared_expert_intermediate_size", 5632, 1);
  // A window that is off has a size all the same.
  keys.require("use_sliding_window", false, false);
  keys.ignore("sliding_window");
  keys.ignore("max_window_layers");

  const bool dense = moe_layers.empty();
  moe.num_experts = keys.get_count("num_experts", "num_local_experts", third ? 128 : 60, dense ? 0 : 2);
  moe.moe_intermediate_size = keys.get_count("moe_intermediate_size", third ? 768 : 1408, 1);
  moe.score_fn = core::ScoreFn::softmax;
  moe.norm_topk_prob = normalised(keys, false);
  if (dense) {
    keys.ignore("num_experts_per_tok");
    moe = core::MoeConfig{};
    return;
  }
  read_active_experts(keys, third ? 8 : 4, moe);
  if (static_cast<std::int64_t>(moe_layers.size()) < layers) moe.moe_layers = moe_layers;
}

void read_glm4_moe(HfKeys& keys, HfConfig& out) {
  auto& moe = out.run.moe;
  moe.num_experts = keys.get_count("n_routed_experts", "num_local_experts", 128, 2);
  read_active_experts(keys, 8, moe);
  moe.num_shared_experts = keys.get_count("n_shared_experts", 1, 0);
  moe.moe_intermediate_size = keys.get_count("moe_intermediate_size", 1408, 1);
  moe.skip_first_n_moe = keys.get_count("first_k_dense_replace", 1, 0);
  moe.score_fn = core::ScoreFn::sigmoid;
  moe.norm_topk_prob = normalised(keys, true);
  moe.routed_scaling_factor = keys.get("routed_scaling_factor", 1.0);
  const auto groups = keys.get_count("n_group", 1, 1), kept = keys.get_count("topk_group", 1, 1);
  if (kept > groups) keys.refuse("topk_group", "= " + std::to_string(kept) + " is larger than n_group");
  if (kept < groups) {  // keeping every group is the same as having none
    moe.n_group = groups;
    moe.topk_group = kept;
    moe.group_score = core::GroupScore::top2sum;
  }
  if (keys.get("use_qk_norm", false)) out.run.model.qk_norm = core::QkNorm::head;
  keys.require_null("sliding_window");
  out.extra_layers = keys.get_count("num_nextn_predict_layers", "num_mtp_layers", 1, 0);
  if (moe.skip_first_n_moe >= out.run.model.num_hidden_layers) moe = core::MoeConfig{};  // every layer is dense
}

// The ranges of the knobs and the rules between them hold for imported models too. On what a run trains is not the file's matter.
void require_valid_model(const core::RunConfig& run, const std::string& where) {
  core::config_from_json(core::to_json(run), where + ": read as Moedl");
  for (const auto& conflict : core::check_config(run)) {
    const auto& path = conflict.paths.front();
    if (path.starts_with("model.") || path.starts_with("moe.")) {
      throw core::Error(core::ErrorKind::config, where + ": read as Moedl, " + path + ": " + conflict.message);
    }
  }
}

}  // namespace

HfConfig read_hf_config(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw core::Error(core::ErrorKind::not_found, "cannot read " + file.string() + "; name a Transformers model directory");
  const json object = json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw core::Error(core::ErrorKind::config, file.string() + ": is not a JSON object");
  HfKeys keys(object, file.string());
  HfConfig out;
  out.architecture = architecture_of(keys);
  read_trunk(keys, file.string(), out.architecture, out.run.model);
  switch (out.architecture) {
    case HfArchitecture::llama:
      keys.require_null("sliding_window");
      break;
    case HfArchitecture::mixtral:
      read_mixtral(keys, out.run.moe);
      break;
    case HfArchitecture::olmoe:
      read_olmoe(keys, out.run);
      break;
    case HfArchitecture::qwen2_moe:
    case HfArchitecture::qwen3_moe:
      read_qwen(keys, out);
      break;
    case HfArchitecture::glm4_moe:
      read_glm4_moe(keys, out);
      break;
  }
  keys.refuse_unknown();
  out.run.data.block_size = std::min(out.run.data.block_size, *out.run.model.max_position_embeddings);
  core::normalize_config(out.run);
  require_valid_model(out.run, file.string());
  return out;
}

}  // namespace moelab::worker
