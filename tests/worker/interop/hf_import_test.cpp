// What of a Transformers directory is accepted, and that everything else is refused by its name.
#include "worker/interop/hf_import.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/worker/interop/temp_dir.h"
#include "worker/interop/hf_config.h"
#include "worker/interop/safetensors_directory.h"

namespace moelab::worker::test {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  return fs::path(MOELAB_SOURCE_DIR) / "tests" / "golden" / name;
}

json config_of(const std::string& name) {
  return json::parse(std::ifstream(golden(name) / "config.json"));
}

// A golden model with a changed config.json and changed tensors.
struct Directory {
  explicit Directory(const std::string& name) : config(config_of(name)), tensors(read_safetensors_directory(golden(name))) {}
  ImportedModel import() {
    std::ofstream(dir / "config.json") << config;
    write_safetensors(dir / "model.safetensors", tensors);
    return import_transformers(dir.path());
  }
  TempDir dir;
  json config;
  TensorMap tensors;
};

HfConfig read_config(const json& config) {
  TempDir dir;
  std::ofstream(dir / "config.json") << config;
  return read_hf_config(dir / "config.json");
}

template <class Function>
std::string refusal(Function&& function) {
  try {
    function();
  } catch (const core::Error& error) {
    CHECK((error.kind() == core::ErrorKind::config));
    return error.what();
  }
  return "not refused";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("configurations of the three architectures") {
  const auto llama = read_config(config_of("llama")).run;
  CHECK(llama.model.rope_theta == 5e3);
  CHECK(llama.model.rms_norm_eps == 1e-6);
  CHECK(llama.model.head_dim == 8);
  CHECK(llama.model.num_key_value_heads == 2);
  CHECK(llama.model.max_position_embeddings == 32);
  CHECK(llama.data.block_size == 32);
  CHECK(llama.moe.num_experts == 1);
  CHECK_FALSE(llama.model.pad_token_id.has_value());

  const auto mixtral = read_config(config_of("mixtral")).run;
  CHECK(mixtral.moe.num_experts == 6);
  CHECK(mixtral.moe.num_active_experts == 2);
  CHECK((mixtral.moe.score_fn == core::ScoreFn::softmax));
  CHECK((mixtral.moe.norm_topk_prob == core::NormTopk::yes));
  CHECK(mixtral.model.rope_theta == 1e6);
  CHECK(mixtral.model.rms_norm_eps == 1e-5);

  const auto glm = read_config(config_of("glm4_moe")).run;
  CHECK(glm.moe.num_experts == 6);
  CHECK(glm.moe.num_active_experts == 3);
  CHECK(glm.moe.num_shared_experts == 2);
  CHECK(glm.moe.moe_intermediate_size == 8);
  CHECK(glm.moe.skip_first_n_moe == 1);
  CHECK(glm.moe.routed_scaling_factor == 2.5);
  CHECK((glm.moe.score_fn == core::ScoreFn::sigmoid));
}

TEST_CASE("absent keys mean the defaults of the class") {
  const auto minimal = [](const char* name) { return json{{"architectures", {name}}}; };
  const auto llama = read_config(minimal("LlamaForCausalLM")).run.model;
  CHECK(llama.rope_theta == 1e4);
  CHECK(llama.rms_norm_eps == 1e-6);
  CHECK(llama.num_key_value_heads == 32);
  CHECK(llama.intermediate_size == 11008);
  CHECK(llama.bos_token_id == 1);
  const auto mixtral = read_config(minimal("MixtralForCausalLM")).run;
  CHECK(mixtral.model.rope_theta == 1e6);
  CHECK(mixtral.model.rms_norm_eps == 1e-5);
  CHECK(mixtral.model.num_key_value_heads == 8);
  CHECK(mixtral.moe.num_experts == 8);
  auto glm = minimal("Glm4MoeForCausalLM");
  CHECK(contains(refusal([&] { read_config(glm); }), "partial_rotary_factor = 0.5"));
  glm["partial_rotary_factor"] = 1.0;
  const auto full = read_config(glm);
  CHECK(full.run.model.rms_norm_eps == 1e-5);
  CHECK(full.run.moe.num_experts == 128);
  CHECK(full.run.moe.skip_first_n_moe == 1);
  CHECK(full.extra_layers == 1);
  CHECK_FALSE(full.run.model.bos_token_id.has_value());
}

TEST_CASE("both spellings of the RoPE base are read; version 4 keeps it at the top") {
  auto config = config_of("llama");
  config.erase("rope_parameters");
  config["rope_theta"] = 7e3;
  config["rope_scaling"] = nullptr;
  CHECK(read_config(config).run.model.rope_theta == 7e3);
  config["num_key_value_heads"] = nullptr;
  CHECK(read_config(config).run.model.num_key_value_heads == 4);
}

TEST_CASE("what cannot be represented is refused by name") {
  struct Case {
    const char* model;
    const char* key;
    json value;
  };
  const Case cases[] = {
      {"llama", "attention_bias", true},
      {"llama", "mlp_bias", true},
      {"llama", "hidden_act", "gelu"},
      {"llama", "attention_dropout", 0.1},
      {"llama", "pretraining_tp", 2},
      {"llama", "rope_scaling", {{"type", "linear"}, {"factor", 2.0}}},
      {"llama", "quantization_config", {{"bits", 4}}},
      {"llama", "head_dim", 7},
      {"llama", "num_key_value_heads", 3},
      {"llama", "hidden_size", "16"},
      {"llama", "hidden_size", 0},
      {"llama", "eos_token_id", {2, 3}},
      {"llama", "residual_multiplier", 0.5},
      {"llama", "architectures", {"Qwen2ForCausalLM"}},
      {"llama", "architectures", json::array()},
      {"mixtral", "sliding_window", 16},
      {"mixtral", "router_jitter_noise", 0.1},
      {"mixtral", "num_experts_per_tok", 7},
      {"mixtral", "num_local_experts", 1},
      {"glm4_moe", "sliding_window", 16},
      {"glm4_moe", "n_shared_experts", -1},
      {"glm4_moe", "norm_topk_prob", 1},
  };
  for (const auto& c : cases) {
    CAPTURE(c.model);
    CAPTURE(c.key);
    auto config = config_of(c.model);
    config[c.key] = c.value;
    const auto message = refusal([&] { read_config(config); });
    CAPTURE(message);
    CHECK(contains(message, std::string("config.json: ") + c.key));
    CHECK_FALSE(contains(message, "\n"));
  }
  auto scaled = config_of("llama");
  scaled["rope_parameters"]["rope_type"] = "yarn";
  CHECK(contains(refusal([&] { read_config(scaled); }), "rope_parameters: rope_type = \"yarn\""));
  auto partial = config_of("glm4_moe");
  partial["rope_parameters"]["partial_rotary_factor"] = 0.5;
  CHECK(contains(refusal([&] { read_config(partial); }), "partial_rotary_factor = 0.5"));
  auto grouped = config_of("glm4_moe");
  grouped["topk_group"] = 2;
  CHECK(contains(refusal([&] { read_config(grouped); }), "topk_group = 2 is larger than n_group"));
  auto harmless = config_of("llama");
  harmless["some_feature"] = false;
  harmless["other_feature"] = nullptr;
  CHECK_NOTHROW(read_config(harmless));
}

TEST_CASE("experts are stacked in the layout of the grouped product, gate before up") {
  Directory mixtral("mixtral");
  const auto imported = mixtral.import();
  const auto& gate_up = imported.tensors.at("layers.1.moe.experts.gate_up");
  const auto& down = imported.tensors.at("layers.1.moe.experts.down");
  REQUIRE(gate_up.sizes() == torch::IntArrayRef({6, 16, 24}));
  REQUIRE(down.sizes() == torch::IntArrayRef({6, 12, 16}));
  const auto part = [&](const char* name) {
    return mixtral.tensors.at(std::string("model.layers.1.block_sparse_moe.experts.4.") + name + ".weight");
  };
  CHECK(gate_up[4].narrow(1, 0, 12).equal(part("w1").t()));
  CHECK(gate_up[4].narrow(1, 12, 12).equal(part("w3").t()));
  CHECK(down[4].equal(part("w2").t()));
}

TEST_CASE("a missing, surplus or wrongly shaped tensor is refused by name") {
  {
    Directory d("llama");
    d.tensors.erase("model.layers.1.mlp.up_proj.weight");
    CHECK(contains(refusal([&] { d.import(); }), "tensor model.layers.1.mlp.up_proj.weight is missing"));
  }
  {
    Directory d("llama");
    d.tensors["model.layers.0.self_attn.q_proj.bias"] = torch::zeros({32});
    CHECK(contains(refusal([&] { d.import(); }), "tensor model.layers.0.self_attn.q_proj.bias has no place"));
  }
  {
    Directory d("mixtral");
    d.tensors["model.layers.0.block_sparse_moe.gate.weight"] = torch::zeros({5, 16});
    CHECK(contains(refusal([&] { d.import(); }),
                   "tensor model.layers.0.block_sparse_moe.gate.weight has shape [5, 16] but config.json means [6, 16]"));
  }
  {
    Directory d("llama");
    d.tensors["model.norm.weight"] = torch::ones({16}, torch::kInt64);
    CHECK(contains(refusal([&] { d.import(); }), "tensor model.norm.weight does not hold floating-point numbers"));
  }
}

TEST_CASE("tied heads: absent or equal is fine, different is refused") {
  Directory d("llama");
  d.config["tie_word_embeddings"] = true;
  CHECK(contains(refusal([&] { d.import(); }), "lm_head.weight differs from the embedding"));
  d.tensors["lm_head.weight"] = d.tensors["model.embed_tokens.weight"];
  CHECK_FALSE(d.import().tensors.contains("lm_head.weight"));
  d.tensors.erase("lm_head.weight");
  const auto imported = d.import();
  CHECK_FALSE(imported.tensors.contains("lm_head.weight"));
  CHECK(imported.config.model.tie_word_embeddings);
}

TEST_CASE("GLM: bias control only for a bias that is not zero; extra prediction layers are left out") {
  Directory d("glm4_moe");
  CHECK(d.import().config.moe.lb_gamma == 0.01);
  for (auto& [name, tensor] : d.tensors) {
    if (name.ends_with("e_score_correction_bias")) tensor = torch::zeros_like(tensor);
  }
  d.tensors["model.layers.3.eh_proj.weight"] = torch::ones({16, 32});
  CHECK(contains(refusal([&] { d.import(); }), "model.layers.3.eh_proj.weight has no place"));
  d.config["num_nextn_predict_layers"] = 1;
  const auto imported = d.import();
  CHECK(imported.config.moe.lb_gamma == 0);
  CHECK((imported.config.moe.score_fn == core::ScoreFn::sigmoid));
  CHECK(imported.tensors.at("layers.1.moe.shared.gate.weight").sizes() == torch::IntArrayRef({16, 16}));
  CHECK_FALSE(imported.tensors.contains("layers.0.moe.router.weight"));  // the first layer is dense
}

TEST_CASE("GLM without shared experts, and with every layer dense") {
  Directory d("glm4_moe");
  d.config["n_shared_experts"] = 0;
  CHECK(contains(refusal([&] { d.import(); }), "mlp.shared_experts.gate_proj.weight has shape [16, 16] but config.json means [0, 16]"));
  std::erase_if(d.tensors, [](const auto& entry) { return contains(entry.first, "shared_experts"); });
  CHECK(d.import().config.moe.num_shared_experts == 0);
  d.tensors["model.layers.1.mlp.shared_experts.gate_proj.weight"] = torch::empty({0, 16});
  d.tensors["model.layers.1.mlp.shared_experts.up_proj.weight"] = torch::empty({0, 16});
  d.tensors["model.layers.1.mlp.shared_experts.down_proj.weight"] = torch::empty({16, 0});
  CHECK_NOTHROW(d.import());

  auto config = config_of("glm4_moe");
  config["first_k_dense_replace"] = 3;
  CHECK(read_config(config).run.moe.num_experts == 1);
}

TEST_CASE("a directory is recognised by its config.json") {
  TempDir dir;
  CHECK(is_transformers_directory(golden("llama")));
  CHECK_FALSE(is_transformers_directory(dir.path()));
  std::ofstream(dir / "config.json") << "{";
  CHECK_FALSE(is_transformers_directory(dir.path()));
  CHECK_THROWS_AS(import_transformers(dir / "nowhere"), core::Error);
}

}  // namespace moelab::worker::test
