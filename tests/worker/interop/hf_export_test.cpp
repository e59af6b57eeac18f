// What a Moedl model becomes in Transformers' files, that it comes back bit for bit, and what is refused for which reason.
// That Transformers computes the same from these files is shown by tests/golden/test_export.py.
#include "worker/interop/hf_export.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/worker/interop/temp_dir.h"
#include "worker/interop/hf_import.h"
#include "worker/interop/weights.h"

namespace moelab::worker::test {
namespace {

using nlohmann::json;

core::RunConfig dense_model() {
  core::RunConfig run;
  run.model.vocab_size = 12;
  run.model.hidden_size = 8;
  run.model.num_hidden_layers = 3;
  run.model.num_attention_heads = 2;
  run.model.num_key_value_heads = 1;
  run.model.intermediate_size = 10;
  run.data.block_size = 16;
  return run;
}

core::RunConfig moe_model() {
  auto run = dense_model();
  run.moe.num_experts = 4;
  run.moe.num_active_experts = 2;
  run.moe.moe_intermediate_size = 6;
  return run;
}

core::RunConfig sigmoid_model() {
  auto run = moe_model();
  run.moe.score_fn = core::ScoreFn::sigmoid;
  return run;
}

TensorMap weights_of(const core::RunConfig& run) {
  TensorMap weights;
  for (const auto& [name, tensor] : model_tensors(LanguageModel(run))) weights[name] = tensor.clone();
  return weights;
}

ExportedModel exported(const core::RunConfig& run) {
  return export_transformers(run, weights_of(run), "the run");
}

ImportedModel imported(const ExportedModel& model) {
  TempDir dir;
  std::ofstream(dir / "config.json") << model.config;
  write_safetensors(dir / "model.safetensors", model.tensors);
  return import_transformers(dir.path());
}

template <class Function>
std::string refusal_to_export(Function&& change, core::RunConfig run) {
  change(run);
  try {
    exported(run);
  } catch (const core::Error& error) {
    CHECK((error.kind() == core::ErrorKind::config));
    const std::string message = error.what();
    CHECK(message.starts_with("the run cannot be exported: "));
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
  return "not refused";
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Import, export, import: the same tensors under the same names, bit for bit and type for type, and the same function.
void check_round_trip(const ImportedModel& first) {
  const auto second = imported(export_transformers(first.config, first.tensors, "the model"));
  check_same_function(second.config, first.config, "the second import");
  check_same_function(first.config, second.config, "the first import");
  REQUIRE(second.tensors.size() == first.tensors.size());
  for (const auto& [name, tensor] : first.tensors) {
    CAPTURE(name);
    REQUIRE(second.tensors.contains(name));
    CHECK((second.tensors.at(name).scalar_type() == tensor.scalar_type()));
    CHECK(second.tensors.at(name).equal(tensor));
  }
}

}  // namespace

TEST_CASE("import, export, import gives equal bits") {
  int models = 0;
  for (const auto& item : std::filesystem::directory_iterator(std::filesystem::path(MOELAB_SOURCE_DIR) / "tests" / "golden")) {
    if (!is_transformers_directory(item.path())) continue;
    const auto name = item.path().filename().string();
    CAPTURE(name);
    check_round_trip(import_transformers(item.path()));
    ++models;
  }
  CHECK(models == 16);
}

TEST_CASE("half-precision weights stay what they are; an expert bias stays fp32") {
  auto model = import_transformers(std::filesystem::path(MOELAB_SOURCE_DIR) / "tests" / "golden" / "glm4_moe");
  for (auto& [name, tensor] : model.tensors) {
    if (!name.ends_with("router.bias")) tensor = tensor.to(torch::kBFloat16);
  }
  const auto written = export_transformers(model.config, model.tensors, "the model");
  CHECK(json::parse(written.config).at("torch_dtype") == "bfloat16");
  CHECK((written.tensors.at("model.layers.1.mlp.gate.e_score_correction_bias").scalar_type() == torch::kFloat32));
  CHECK((written.tensors.at("model.layers.1.mlp.experts.0.up_proj.weight").scalar_type() == torch::kBFloat16));
  check_round_trip(model);
}

TEST_CASE("every representable model comes back with the weights it had") {
  struct Case {
    const char* architecture;
    core::RunConfig run;
    void (*change)(core::RunConfig&);
  };
  const Case cases[] = {
      {"LlamaForCausalLM", dense_model(), [](core::RunConfig&) {}},
      {"LlamaForCausalLM", dense_model(), [](core::RunConfig& r) { r.model.tie_word_embeddings = true; }},
      {"Qwen3MoeForCausalLM", dense_model(), [](core::RunConfig& r) { r.model.qk_norm = core::QkNorm::head; }},
      {"MixtralForCausalLM", moe_model(), [](core::RunConfig& r) { r.model.head_dim = 6; }},
      {"MixtralForCausalLM", moe_model(),
       [](core::RunConfig& r) {
         r.moe.num_active_experts = 1;
         r.moe.top1_gate = core::Top1Gate::ste;
       }},
      {"Qwen2MoeForCausalLM", moe_model(), [](core::RunConfig& r) { r.moe.num_active_experts = 1; }},
      {"Qwen2MoeForCausalLM", moe_model(), [](core::RunConfig& r) { r.moe.norm_topk_prob = core::NormTopk::no; }},
      {"Qwen2MoeForCausalLM", moe_model(), [](core::RunConfig& r) { r.moe.moe_layers = {1}; }},
      {"OlmoeForCausalLM", moe_model(), [](core::RunConfig& r) { r.model.qk_norm = core::QkNorm::full; }},
      {"Qwen3MoeForCausalLM", moe_model(), [](core::RunConfig& r) { r.model.qk_norm = core::QkNorm::head; }},
      {"Qwen3MoeForCausalLM", moe_model(),
       [](core::RunConfig& r) {
         r.model.qk_norm = core::QkNorm::head;
         r.moe.moe_stride = 2;
       }},
      {"Glm4MoeForCausalLM", sigmoid_model(), [](core::RunConfig&) {}},
      {"Glm4MoeForCausalLM", sigmoid_model(),
       [](core::RunConfig& r) {
         r.moe.num_shared_experts = 3;
         r.moe.skip_first_n_moe = 1;
         r.moe.routed_scaling_factor = 2.5;
         r.model.qk_norm = core::QkNorm::head;
       }},
      {"Glm4MoeForCausalLM", sigmoid_model(),
       [](core::RunConfig& r) {
         r.moe.n_group = 2;
         r.moe.topk_group = 1;
         r.moe.group_score = core::GroupScore::top2sum;
         r.moe.norm_topk_prob = core::NormTopk::no;
         r.model.tie_word_embeddings = true;
       }},
      // All groups kept are no groups, whatever their score.
      {"Glm4MoeForCausalLM", sigmoid_model(), [](core::RunConfig& r) { r.moe.n_group = r.moe.topk_group = 2; }},
      {"MixtralForCausalLM", moe_model(), [](core::RunConfig& r) { r.moe.n_group = r.moe.topk_group = 2; }},
  };
  for (const auto& c : cases) {
    CAPTURE(c.architecture);
    auto run = c.run;
    c.change(run);
    const auto weights = weights_of(run);
    const auto model = export_transformers(run, weights, "the run");
    CHECK(hf_class(model.architecture).name == c.architecture);
    const auto back = imported(model);
    check_same_function(back.config, run, "the import");
    CHECK(back.config.model.vocab_size == 12);
    CHECK(back.config.model.max_position_embeddings == 16);
    CHECK(back.config.model.bos_token_id == 1);
    CHECK_FALSE(back.config.model.pad_token_id.has_value());
    LanguageModel loaded(back.config);
    load_weights(loaded, back.tensors, "the import");
    const auto own = model_tensors(loaded);
    REQUIRE(own.size() == weights.size());
    for (const auto& [name, tensor] : weights) {
      CAPTURE(name);
      CHECK(own.at(name).equal(tensor));
    }
  }
}

TEST_CASE("routings that are token choice outside training, and parts that only training reads, are exported as what they then compute") {
  struct Case {
    const char* architecture;
    void (*change)(core::RunConfig&);
  };
  using core::Routing;
  const Case cases[] = {
      {"MixtralForCausalLM", [](core::RunConfig& r) { r.moe.routing = Routing::reinforce, r.moe.num_active_experts = 1; }},
      {"Glm4MoeForCausalLM", [](core::RunConfig& r) { r.moe.routing = Routing::base, r.moe.num_active_experts = 1; }},
      {"Glm4MoeForCausalLM", [](core::RunConfig& r) { r.moe.routing = Routing::sinkhorn, r.moe.num_active_experts = 1; }},
      {"Qwen2MoeForCausalLM", [](core::RunConfig& r) { r.moe.routing = Routing::sinkhorn; }},
      {"Qwen2MoeForCausalLM", [](core::RunConfig& r) { r.moe.routing = Routing::expert_choice; }},
      {"MixtralForCausalLM", [](core::RunConfig& r) { r.moe.router_noise = core::RouterNoise::learned, r.moe.mtp_depth = 1; }},
  };
  for (const auto& c : cases) {
    CAPTURE(c.architecture);
    auto run = moe_model();
    run.model.initializer_range = 0.5;
    c.change(run);
    LanguageModel model(run);
    const auto written = export_transformers(run, model_tensors(model), "the run");
    CHECK(hf_class(written.architecture).name == c.architecture);
    const auto back = imported(written);
    LanguageModel loaded(back.config);
    load_weights(loaded, back.tensors, "the import");
    torch::manual_seed(4);
    const auto ids = torch::randint(12, {3, 16});
    const torch::NoGradGuard no_grad;
    CHECK((loaded.logits(ids) - model.logits(ids)).abs().max().item<double>() < 1e-5);
  }
}

TEST_CASE("what no architecture represents is refused with the reason") {
  using core::RunConfig;
  const auto refused = [](core::RunConfig run, auto change, const std::string& part) {
    const auto message = refusal_to_export(change, run);
    CAPTURE(message);
    CHECK(mentions(message, part));
  };
  refused(
      moe_model(), [](RunConfig& r) { r.moe.num_shared_experts = 1; }, "moe.num_shared_experts");
  refused(
      moe_model(), [](RunConfig& r) { r.moe.n_group = 2; }, "moe.topk_group");
  refused(
      moe_model(), [](RunConfig& r) { r.moe.eval_capacity_factor = 1.25; }, "moe.eval_capacity_factor");
  refused(
      dense_model(), [](RunConfig& r) { r.model.qk_norm = core::QkNorm::full; }, "qk_norm = full");
  refused(
      dense_model(), [](RunConfig& r) { r.model.hidden_size = 9, r.model.head_dim = 4; }, "model.hidden_size");
  refused(
      moe_model(), [](RunConfig& r) { r.model.qk_norm = core::QkNorm::full, r.moe.skip_first_n_moe = 1; }, "qk_norm = full");
  refused(
      sigmoid_model(), [](RunConfig& r) { r.model.qk_norm = core::QkNorm::full; }, "qk_norm = full");
  refused(
      sigmoid_model(), [](RunConfig& r) { r.moe.moe_stride = 2; }, "all dense layers come before");
  refused(
      sigmoid_model(), [](RunConfig& r) { r.moe.n_group = 2; }, "top2sum");
  refused(
      sigmoid_model(), [](RunConfig& r) { r.moe.num_shared_experts = 1, r.moe.shared_intermediate_size = 7; },
      "multiple of the routed width 6");
}

TEST_CASE("shared experts of another width are split into experts of the routed width") {
  auto run = sigmoid_model();
  run.moe.num_shared_experts = 1;
  run.moe.shared_intermediate_size = 18;
  const auto model = exported(run);
  CHECK(json::parse(model.config).at("n_shared_experts") == 3);
  CHECK(imported(model).tensors.at("layers.0.moe.shared.gate.weight").equal(weights_of(run).at("layers.0.moe.shared.gate.weight")));
}

TEST_CASE("an expert bias needs sigmoid scores; one that is all zero needs nothing") {
  auto run = sigmoid_model();
  run.moe.lb_gamma = 0.01;
  auto weights = weights_of(run);
  weights.at("layers.1.moe.router.bias").fill_(0.25);
  const auto model = export_transformers(run, weights, "the run");
  CHECK(model.tensors.at("model.layers.1.mlp.gate.e_score_correction_bias").eq(0.25).all().item<bool>());
  CHECK(imported(model).config.moe.lb_gamma > 0);

  run.moe.score_fn = core::ScoreFn::softmax;
  CHECK_THROWS_AS(export_transformers(run, weights, "the run"), core::Error);
  weights.at("layers.1.moe.router.bias").zero_();
  CHECK((export_transformers(run, weights, "the run").architecture == HfArchitecture::mixtral));

  run.moe.score_fn = core::ScoreFn::sigmoid;
  run.moe.lb_bias_target = core::BiasTarget::logit;
  CHECK_NOTHROW(export_transformers(run, weights, "the run"));
  weights.at("layers.1.moe.router.bias").fill_(0.25);
  CHECK_THROWS_AS(export_transformers(run, weights, "the run"), core::Error);

  run.moe.lb_gamma = 0;  // no buffer: Transformers' is written all the same, as zeros
  run.moe.lb_bias_target = core::BiasTarget::score;
  const auto unbiased = exported(run);
  CHECK(unbiased.tensors.at("model.layers.2.mlp.gate.e_score_correction_bias").equal(torch::zeros({4})));
  CHECK(imported(unbiased).config.moe.lb_gamma == 0);
}

TEST_CASE("with softmax scores the scaling factor goes into the down projections of the routed experts") {
  auto run = moe_model();
  run.moe.routed_scaling_factor = 2.5;
  const auto weights = weights_of(run);
  const auto model = export_transformers(run, weights, "the run");
  const auto back = imported(model);
  CHECK(back.config.moe.routed_scaling_factor == 1);
  CHECK(back.tensors.at("layers.2.moe.experts.down").equal(weights.at("layers.2.moe.experts.down") * 2.5));
  CHECK(back.tensors.at("layers.2.moe.experts.gate_up").equal(weights.at("layers.2.moe.experts.gate_up")));

  LanguageModel ours(run), theirs(back.config);
  load_weights(ours, weights, "ours");
  load_weights(theirs, back.tensors, "theirs");
  const torch::NoGradGuard no_grad;
  const auto ids = torch::arange(12).view({1, 12});
  CHECK(ours.logits(ids).allclose(theirs.logits(ids), 1e-5, 1e-6));
  CHECK_FALSE(ours.logits(ids).equal(LanguageModel(back.config).logits(ids)));

  run.moe.score_fn = core::ScoreFn::sigmoid;  // GLM has the factor
  const auto glm = imported(export_transformers(run, weights, "the run"));
  CHECK(glm.config.moe.routed_scaling_factor == 2.5);
  CHECK(glm.tensors.at("layers.2.moe.experts.down").equal(weights.at("layers.2.moe.experts.down")));
}

TEST_CASE("keys whose class default would be another model are written") {
  const auto keys = [](const core::RunConfig& run) { return json::parse(exported(run).config); };
  const auto glm = keys(sigmoid_model());
  CHECK(glm.at("partial_rotary_factor") == 1.0);
  CHECK(glm.at("n_shared_experts") == 0);
  CHECK(glm.at("num_nextn_predict_layers") == 0);
  CHECK(glm.at("rope_theta") == 1e4);
  CHECK(glm.at("torch_dtype") == "float32");
  auto run = moe_model();
  run.moe.norm_topk_prob = core::NormTopk::no;
  run.moe.skip_first_n_moe = 1;
  const auto qwen = keys(run);
  CHECK(qwen.at("qkv_bias") == false);
  CHECK(qwen.at("norm_topk_prob") == false);
  CHECK(qwen.at("mlp_only_layers") == json{0});
  CHECK(qwen.at("shared_expert_intermediate_size") == 1);
  const auto tensors = exported(run).tensors;
  CHECK(tensors.at("model.layers.1.mlp.shared_expert_gate.weight").equal(torch::zeros({1, 8})));
  CHECK_FALSE(tensors.contains("model.layers.0.mlp.shared_expert_gate.weight"));
  CHECK(exported(sigmoid_model()).tensors.at("model.layers.0.mlp.shared_experts.down_proj.weight").sizes() == torch::IntArrayRef({8, 0}));
}

TEST_CASE("weights of another model are refused by name") {
  const auto refused = [](auto change, const std::string& part) {
    auto weights = weights_of(moe_model());
    change(weights);
    try {
      export_transformers(moe_model(), weights, "the run");
    } catch (const core::Error& error) {
      CHECK((error.kind() == core::ErrorKind::storage));
      const std::string message = error.what();
      CAPTURE(message);
      CHECK(mentions(message, part));
      return;
    }
    FAIL("not refused");
  };
  refused([](TensorMap& w) { w.erase("norm.weight"); }, "tensor norm.weight is missing");
  refused([](TensorMap& w) { w["norm.weight"] = torch::ones({9}); }, "tensor norm.weight has the wrong shape");
  refused([](TensorMap& w) { w["extra.weight"] = torch::ones({9}); }, "tensor extra.weight has no place");
}

}  // namespace moelab::worker::test
