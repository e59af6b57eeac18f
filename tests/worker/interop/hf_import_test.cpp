// What of a Transformers directory is accepted, and that everything else is refused by its name.
#include "worker/interop/hf_import.h"

#include <doctest/doctest.h>

#include <cmath>
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

TEST_CASE("configurations of the architectures") {
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
  CHECK((glm.model.qk_norm == core::QkNorm::none));
  CHECK((read_config(config_of("glm4_moe_norms")).run.model.qk_norm == core::QkNorm::head));
  CHECK((read_config(config_of("glm4_moe_plain")).run.moe.norm_topk_prob == core::NormTopk::no));

  const auto olmoe = read_config(config_of("olmoe")).run;
  CHECK(olmoe.moe.num_experts == 5);
  CHECK((olmoe.moe.norm_topk_prob == core::NormTopk::no));
  CHECK((olmoe.model.qk_norm == core::QkNorm::full));
  CHECK(olmoe.model.head_dim == 2);

  const auto qwen2 = read_config(config_of("qwen2_moe")).run;
  CHECK((qwen2.model.qk_norm == core::QkNorm::none));
  CHECK(qwen2.moe.moe_layers == std::vector<std::int64_t>{0, 2});  // mlp_only_layers [1]
  CHECK((qwen2.moe.norm_topk_prob == core::NormTopk::yes));
  const auto qwen3 = read_config(config_of("qwen3_moe")).run;
  CHECK((qwen3.model.qk_norm == core::QkNorm::head));
  CHECK(qwen3.moe.moe_layers == std::vector<std::int64_t>{1});  // decoder_sparse_step 2
  CHECK(qwen3.moe.num_experts == 5);
  CHECK(read_config(config_of("qwen3_moe_dense")).run.moe.num_experts == 1);
}

TEST_CASE("limited groups of GLM are those of the sum of two; keeping every group is having none") {
  const auto moe = read_config(config_of("glm4_moe_groups")).run.moe;
  CHECK(moe.n_group == 4);
  CHECK(moe.topk_group == 2);
  CHECK((moe.group_score == core::GroupScore::top2sum));
  auto config = config_of("glm4_moe_groups");
  config["topk_group"] = 4;
  CHECK(read_config(config).run.moe.n_group == 1);
  config["topk_group"] = 1;
  config["num_experts_per_tok"] = 3;
  CHECK(contains(refusal([&] { read_config(config); }), "moe.num_active_experts: 3 active experts, but 1 group(s) of 2"));
  config["n_group"] = 3;
  CHECK(contains(refusal([&] { read_config(config); }), "moe.n_group: 3 groups do not divide"));
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

  const auto olmoe = read_config(minimal("OlmoeForCausalLM")).run;
  CHECK(olmoe.model.rms_norm_eps == 1e-5);
  CHECK(olmoe.model.num_key_value_heads == 16);
  CHECK(olmoe.model.pad_token_id == 1);
  CHECK(olmoe.model.eos_token_id == 50279);
  CHECK(olmoe.moe.num_experts == 64);
  CHECK(olmoe.moe.num_active_experts == 8);
  CHECK((olmoe.moe.norm_topk_prob == core::NormTopk::no));
  const auto qwen3 = read_config(minimal("Qwen3MoeForCausalLM")).run;
  CHECK(qwen3.model.rope_theta == 1e4);
  CHECK(qwen3.model.rms_norm_eps == 1e-6);
  CHECK(qwen3.model.num_key_value_heads == 4);
  CHECK(qwen3.moe.num_experts == 128);
  CHECK(qwen3.moe.moe_intermediate_size == 768);
  CHECK_FALSE(qwen3.moe.moe_layers.has_value());
  auto qwen2 = minimal("Qwen2MoeForCausalLM");
  CHECK(contains(refusal([&] { read_config(qwen2); }), "qkv_bias = true cannot be represented"));
  qwen2["qkv_bias"] = false;
  CHECK(read_config(qwen2).run.moe.num_experts == 60);
  CHECK(read_config(qwen2).run.moe.num_active_experts == 4);
  CHECK(read_config(qwen2).gated_shared_width == 5632);
}

TEST_CASE("both spellings of the number of experts are read, and must agree") {
  const std::pair<const char*, const char*> spellings[] = {{"num_experts", "num_local_experts"}, {"num_local_experts", "num_experts"}};
  for (const char* model : {"mixtral", "olmoe", "qwen2_moe", "qwen3_moe"}) {
    CAPTURE(model);
    const auto base = config_of(model);
    const auto count = base.value("num_experts", base.value("num_local_experts", json())).get<std::int64_t>();
    for (const auto& [key, other] : spellings) {
      auto config = base;
      config.erase(other);
      config[key] = count;
      CHECK(read_config(config).run.moe.num_experts == count);
      config[other] = count;
      CHECK(read_config(config).run.moe.num_experts == count);
      config[other] = count + 1;
      CHECK(contains(refusal([&] { read_config(config); }), "differ"));
    }
  }
  auto glm = config_of("glm4_moe");
  glm["num_mtp_layers"] = 2;
  CHECK(contains(refusal([&] { read_config(glm); }), "num_nextn_predict_layers and num_mtp_layers differ"));
  glm.erase("num_nextn_predict_layers");
  CHECK(read_config(glm).extra_layers == 2);
}

TEST_CASE("a sliding window that is off is no window") {
  for (const char* model : {"qwen2_moe", "qwen3_moe"}) {
    auto config = config_of(model);
    config["use_sliding_window"] = false;
    config["sliding_window"] = 4096;
    config["max_window_layers"] = 28;
    config["layer_types"] = {"full_attention", "full_attention", "full_attention"};
    CHECK_NOTHROW(read_config(config));
  }
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
      {"llama", "architectures", {"GPT2LMHeadModel"}},
      {"llama", "architectures", {"DeepseekV3ForCausalLM"}},
      {"llama", "layer_types", {"full_attention", "sliding_attention"}},
      {"olmoe", "clip_qkv", 8.0},
      {"olmoe", "attention_bias", true},
      {"qwen2_moe", "qkv_bias", true},
      {"qwen2_moe", "use_sliding_window", true},
      {"qwen3_moe", "use_sliding_window", true},
      {"qwen3_moe", "mlp_only_layers", {3}},
      {"qwen3_moe", "mlp_only_layers", "none"},
      {"qwen3_moe", "decoder_sparse_step", 0},
      {"qwen3_moe", "num_experts_per_tok", 6},
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
  auto wide = config_of("olmoe");
  wide["head_dim"] = 4;
  CHECK(contains(refusal([&] { read_config(wide); }), "read as Moedl, model.qk_norm: full needs head_dim"));
  auto odd = config_of("llama");
  odd["rms_norm_eps"] = 0.0;
  CHECK(contains(refusal([&] { read_config(odd); }), "read as Moedl: model.rms_norm_eps"));
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

TEST_CASE("a gated shared expert must be all zero, since Moedl has none") {
  Directory d("qwen2_moe_k1");
  CHECK_NOTHROW(d.import());
  const std::string prefix = "model.layers.1.mlp.";
  for (const char* name : {"shared_expert.gate_proj.weight", "shared_expert.down_proj.weight", "shared_expert_gate.weight"}) {
    auto& tensor = d.tensors.at(prefix + name);
    tensor.flatten()[1] = 1e-6;
    CHECK(contains(refusal([&] { d.import(); }), "tensor " + prefix + name + " is not zero"));
    tensor.zero_();
  }
  d.tensors.erase(prefix + "shared_expert.up_proj.weight");
  CHECK(contains(refusal([&] { d.import(); }), "shared_expert.up_proj.weight is missing"));
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

TEST_CASE("damaged and foreign files are refused with one error that names the file or the tensor") {
  const auto message_of = [](Directory& d) {
    try {
      import_transformers(d.dir.path());
    } catch (const core::Error& error) {
      return std::string(error.what());
    }
    return std::string("not refused");
  };
  for (const char* model : {"llama", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "glm4_moe"}) {
    CAPTURE(model);
    Directory d(model);
    d.import();
    const auto file = d.dir / "model.safetensors";
    const auto refused = [&](const std::string& part) {
      const auto message = message_of(d);
      CAPTURE(message);
      CHECK(contains(message, part));
      CHECK(contains(message, d.dir.path().string()));
      CHECK_FALSE(contains(message, "\n"));
    };
    fs::resize_file(file, fs::file_size(file) - 1);
    refused("truncated");
    fs::resize_file(file, 100);
    refused("truncated within its header");
    std::ofstream(file) << "PK, a zip file of some other trainer";
    refused("is not a safetensors file");
    fs::remove(file);
    refused("cannot open");

    auto& bad = d.tensors.at("model.layers.1.self_attn.k_proj.weight");
    const auto good = bad.clone();
    bad[1][2] = std::nanf("");
    write_safetensors(file, d.tensors);
    refused("tensor model.layers.1.self_attn.k_proj.weight holds NaN or infinity");
    bad = good;
    write_safetensors(file, {{"embed_tokens.weight", torch::ones({2, 2})}});  // Moedl's own names
    refused("tensor model.embed_tokens.weight is missing");

    for (const char* text : {"", "{", "[]", "null"}) {
      std::ofstream(d.dir / "config.json") << text;
      refused("config.json: is not a JSON object");
    }
    std::ofstream(d.dir / "config.json") << "{}";
    refused("config.json: architectures must name one class");
  }
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
