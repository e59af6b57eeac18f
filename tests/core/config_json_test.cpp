#include <doctest/doctest.h>

#include "core/config_check.h"
#include "core/config_json.h"
#include "core/error.h"
#include "core/field_io.h"
#include "core/model_shape.h"
#include "core/run_spec.h"
#include "tests/core/plan_fixture.h"

using namespace moelab::core;

TEST_CASE("a configuration survives JSON, every knob of it") {
  RunConfig config;
  config.seed = 9'000'000'000'000'000;
  config.model.head_dim = 64;
  config.model.eos_token_id.reset();
  config.moe.moe_layers = {1, 3};
  config.moe.norm_topk_prob = NormTopk::no;
  config.train.lr = 0.1 + 0.2;
  config.data.path = {"a", "b"};
  config.data.domains = {{"prose", {"a", "b"}}, {"code", {"c"}}};
  config.data.shuffle = false;
  config.resources.timeout = {90};
  const nlohmann::json json = to_json(config);
  const RunConfig back = config_from_json(nlohmann::json::parse(json.dump()), "run.json");
  CHECK(field_values(back) == field_values(config));
  CHECK(json["moe"]["norm_topk_prob"] == "false");
  CHECK(json["data"]["domains"].dump() == R"({"code":["c"],"prose":["a","b"]})");
  CHECK(json["model"]["num_key_value_heads"].is_null());
  CHECK(back.train.lr == 0.1 + 0.2);
}

TEST_CASE("absent keys keep their default; booleans and durations have a second spelling") {
  const RunConfig config = config_from_json({{"moe", {{"norm_topk_prob", true}}}, {"resources", {{"timeout", "2h"}}}}, "x");
  CHECK(config.moe.norm_topk_prob == NormTopk::yes);
  CHECK(config.resources.timeout.count == 7200);
  CHECK(config.train.batch_size == TrainConfig{}.batch_size);
}

TEST_CASE("all problems of a JSON configuration come at once") {
  try {
    config_from_json({{"train", {{"lr", "1e-4"}, {"batch_size", 0}}}, {"moe", 3}, {"modle", {{"hidden_size", 1}}}}, "body");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    CHECK(std::string(error.what()) ==
          "body: modle: unknown key (did you mean 'model'?)\n"
          "body: moe: must be a map of knobs, not '3'\n"
          "body: train.batch_size: must be at least 1 and at most 1048576, not 0\n"
          "body: train.lr: must be a number, not the text \"1e-4\"");
  }
}

TEST_CASE("a run survives JSON") {
  const Plan plan = plan_of("  - {name: one, baseline: a, tags: [x], priority: 2, variants: {a: {notes: n}}}\n");
  const RunSpec& spec = plan.runs[0].spec;
  const RunSpec back = run_spec_from_json(nlohmann::json::parse(to_json(spec).dump()), "run.json");
  CHECK(to_json(back) == to_json(spec));
  CHECK(back.baseline_key == spec.key);
  CHECK_THROWS_AS(run_spec_from_json({{"name", "x"}}, "run.json"), Error);
  CHECK_THROWS_AS(run_spec_from_json({{"name", 3}, {"config", nlohmann::json::object()}}, "run.json"), Error);
}

TEST_CASE("the shape resolves what is left to default") {
  RunConfig config;
  config.model.num_key_value_heads = 4;
  config.moe.num_experts = 8;
  config.moe.num_active_experts = 1;
  config.moe.skip_first_n_moe = 1;
  config.moe.moe_stride = 2;
  config.moe.moe_offset = 1;
  config.moe.lb_gamma = 0.01;
  ModelShape shape = model_shape(config);
  CHECK(shape.head_dim == 48);
  CHECK(shape.kv_heads == 4);
  CHECK(shape.expert_width == 2048);
  CHECK(shape.moe_layer == std::vector<bool>{false, true, false, true, false, true, false, true});
  CHECK(shape.sigmoid_scores);
  CHECK_FALSE(shape.normalize_topk);
  config.moe.score_fn = ScoreFn::softmax;
  config.moe.num_active_experts = 2;
  shape = model_shape(config);
  CHECK_FALSE(shape.sigmoid_scores);
  CHECK(shape.normalize_topk);
  CHECK(shape.bias_control);
  config.moe.num_experts = 1;
  CHECK(model_shape(config).moe_layer_count() == 0);
}

TEST_CASE("the cost of a tied dense model and of a mixed one, by hand") {
  RunConfig config;
  config.model.vocab_size = 10;
  config.model.hidden_size = 4;
  config.model.num_hidden_layers = 2;
  config.model.num_attention_heads = 2;
  config.model.num_key_value_heads = 1;
  config.model.intermediate_size = 3;
  config.model.tie_word_embeddings = true;
  config.data.block_size = 5;
  config.train.batch_size = 2;
  config.train.max_steps = 3;
  normalize_config(config);
  // Embedding 10 x 4, final norm 4; a layer: norms 2 x 4, attention 4 x 2 x (2 x 2 + 2 x 1) = 48, FFN 3 x 4 x 3 = 36.
  CHECK(estimate_cost(config).total_parameters == 44 + 2 * (8 + 48 + 36));
  CHECK(estimate_cost(config).active_parameters == estimate_cost(config).total_parameters);
  // Head 40 and 2 x 84 in matmuls; attention over 6 / 2 keys on average: 6 x 2 layers x 6 x width 4.
  CHECK(estimate_cost(config).flops_per_token == 6 * (40 + 168) + 6 * 2 * 6 * 4);
  CHECK(estimate_cost(config).tokens == 30);

  config.model.tie_word_embeddings = false;
  config.moe.num_experts = 4;
  config.moe.num_active_experts = 2;
  config.moe.num_shared_experts = 1;
  config.moe.moe_intermediate_size = 2;
  config.moe.moe_layers = {1};
  // Layer 1: experts of 3 x 4 x 2 = 24, four routed and one shared, router 4 x 4.
  CHECK(estimate_cost(config).total_parameters == 84 + (8 + 48 + 36) + (8 + 48 + 5 * 24 + 16));
  CHECK(estimate_cost(config).active_parameters == 84 + (8 + 48 + 36) + (8 + 48 + 3 * 24 + 16));
}
