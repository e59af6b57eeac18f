#include <doctest/doctest.h>

#include "tests/core/plan_fixture.h"

using namespace moelab::core;
using Names = std::vector<std::string>;

TEST_CASE("a baseline is found in the experiment first, then anywhere, of the same seed") {
  const Plan plan = plan_of(R"(
  - name: first
    baseline: plain
    seeds: [0, 1]
    variants: {plain: {}, quick: {train.lr: 1}}
  - name: second
    baseline: plain
    variants: {plain: {train.eps: 1}, slow: {train.lr: 1.0e-5}}
  - name: third
    baseline: first/plain
    seeds: [1, 2]
    variants: {other: {train.beta1: 0.5}}
)");
  CHECK(run_called(plan, "quick,seed=1").spec.baseline == "plain,seed=1");
  CHECK(run_called(plan, "quick,seed=1").spec.baseline_key == run_called(plan, "first/plain,seed=1").spec.key);
  CHECK(run_called(plan, "first/plain,seed=0").spec.baseline == "plain,seed=0");
  CHECK(run_called(plan, "slow").spec.baseline_key == run_called(plan, "second/plain").spec.key);
  CHECK(run_called(plan, "other,seed=1").spec.baseline_key == run_called(plan, "first/plain,seed=1").spec.key);
  CHECK(run_called(plan, "other,seed=2").spec.baseline.empty());
  CHECK(plan.experiments.size() == 3);
  CHECK(plan.experiments[2].baseline == "plain");
}

TEST_CASE("a variant as baseline is compared at the same point of the axes") {
  const Plan plan = plan_of(R"(
  - name: one
    baseline: plain
    variants: {plain: {}, quick: {train.beta1: 0.5}}
    matrix: {train.lr: [1, 2]}
    seeds: [0, 1]
  - name: two
    baseline: plain,lr=2
    variants: {slow: {train.eps: 1}}
)");
  CHECK(run_called(plan, "quick,lr=2,seed=1").spec.baseline == "plain,lr=2,seed=1");
  CHECK(run_called(plan, "quick,lr=1,seed=0").spec.baseline == "plain,lr=1,seed=0");
  CHECK(run_called(plan, "plain,lr=1,seed=1").spec.baseline == "plain,lr=1,seed=1");
  CHECK(run_called(plan, "slow").spec.baseline == "plain,lr=2,seed=0");
}

TEST_CASE("runs with equal results have one key and say so, whatever they are called") {
  const Plan plan = plan_of(R"(
  - name: first
    variants: {a: {}, b: {train.lr: 1}}
  - name: second
    variants: {c: {train.lr: 1, notes: the same, tags: [x]}, d: {resources.timeout: 1h}}
)");
  CHECK(run_called(plan, "a").same_as.empty());
  CHECK(run_called(plan, "b").same_as.empty());
  CHECK(run_called(plan, "c").same_as == "first/b");
  CHECK(run_called(plan, "c").spec.key == run_called(plan, "b").spec.key);
  CHECK(run_called(plan, "d").same_as == "first/a");
  const nlohmann::json json = to_json(plan);
  CHECK(json["totals"]["runs"] == 4);
  CHECK(json["totals"]["distinct"] == 2);
}

TEST_CASE("only selects experiments, runs or both by glob, and keeps the baseline's name") {
  PlanRequest request = request_for(with_experiments(R"(
  - {name: first, baseline: a0, variants: {a0: {}, a1: {}, b0: {}}}
  - {name: second, variants: {a1: {}, c0: {}}}
)"));
  request.only = {"a?"};
  CHECK(names_of(make_plan(request)) == Names{"a0", "a1", "a1"});
  request.only = {"second/a*", "b0"};
  const Plan plan = make_plan(request);
  CHECK(names_of(plan) == Names{"b0", "a1"});
  CHECK(plan.runs[0].spec.baseline == "a0");
  CHECK(plan.runs[0].spec.baseline_key == plan.runs[1].spec.key);
  request.only = {"second"};
  CHECK(names_of(make_plan(request)) == Names{"a1", "c0"});
  CHECK(make_plan(request).experiments.size() == 1);
}

TEST_CASE("num_experts 0 means 1, with a warning, and a dense model forgets its expert knobs") {
  const Plan plan = plan_of(R"(
  - name: one
    defaults: {moe: {num_active_experts: 4, lb_gamma: 0.01, moe_layers: [7], capacity_factor: 2}}
    variants: {zero: {moe.num_experts: 0}, one: {moe.num_experts: 1}, eight: {moe.num_experts: 8}}
  - name: plain
)");
  CHECK(run_called(plan, "zero").spec.config.moe.num_experts == 1);
  CHECK(run_called(plan, "zero").spec.key == run_called(plan, "plain").spec.key);
  CHECK(run_called(plan, "one").spec.key == run_called(plan, "plain").spec.key);
  CHECK(run_called(plan, "eight").spec.key != run_called(plan, "plain").spec.key);
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].path == "moe.num_experts");
  CHECK(plan.warnings[0].line == 9);
}

TEST_CASE("an override of an axis is carried out with a warning") {
  PlanRequest request = request_for(with_experiments("  - {name: one, matrix: {train.lr: [1, 2]}}\n"));
  request.overrides = {"train.lr=3"};
  const Plan plan = make_plan(request);
  CHECK(plan.runs[1].same_as == "one/lr=1");
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].path == "train.lr");
}

TEST_CASE("a study whose data is absent can be planned, not required") {
  const TempDir dir;
  PlanRequest request = request_for(with_experiments("  - {name: one, seeds: [1, 2]}\n"), dir.path());
  const Plan before = make_plan(request);
  CHECK(before.runs[0].data_missing());
  CHECK_THROWS_WITH_AS(require_data(before, "test.yaml"),
                       ("test.yaml: data.path: no such file or directory: " + (dir.path() / "corpus").string() +
                        " (run one/one,seed=1); create it, or correct data.path")
                           .c_str(),
                       Error);
  dir.write("corpus/story.txt", "once upon a time");
  const Plan after = make_plan(request);
  CHECK_FALSE(after.runs[0].data_missing());
  CHECK(after.runs[0].spec.key != before.runs[0].spec.key);
  require_data(after, "test.yaml");
}

TEST_CASE("the length of a run is known when its steps are") {
  const Plan plan = plan_of("  - {name: one, variants: {steps: {train.max_steps: 10}, epochs: {}}}\n");
  CHECK(run_called(plan, "steps").cost.tokens == 10 * 128 * 512);
  CHECK(run_called(plan, "epochs").cost.tokens == std::nullopt);
  CHECK(to_json(plan)["totals"]["tokens"].is_null());
}

TEST_CASE("a run that starts from another one's weights is keyed by it, brings it along, and is found by seed") {
  const std::string file = R"(  - name: base
    seeds: [1, 2]
    variants: {dense: {moe.num_experts: 1}}
  - name: late
    seeds: [1, 2]
    variants:
      up: {moe: {num_experts: 4, norm_topk_prob: true}, train: {init_from: "run:dense", upcycle: true}}
      upper: {moe: {num_experts: 4, norm_topk_prob: true}, train: {init_from: "run:late/up"}}
)";
  const Plan plan = plan_of(file);
  for (const char* seed : {"1", "2"}) {
    const auto at = [&](const std::string& name) { return run_called(plan, name + ",seed=" + seed); };
    CHECK(at("up").spec.config.train.init_from == "run:" + at("dense").spec.key);
    CHECK(at("upper").spec.config.train.init_from == "run:" + at("up").spec.key);
    CHECK(at("up").data_missing() == at("dense").data_missing());
    CHECK(at("up").missing.size() == at("dense").missing.size());  // the origin is nothing to be found on a disk
  }
  // Another dense run means other runs behind it.
  const Plan other = plan_of(file, "  model.intermediate_size: 1024\n");
  CHECK(run_called(other, "upper,seed=1").spec.key != run_called(plan, "upper,seed=1").spec.key);

  PlanRequest request = request_for(with_experiments(file));
  request.only = {"upper,seed=2"};
  CHECK(names_of(make_plan(request)) == std::vector<std::string>{"dense,seed=2", "up,seed=2", "upper,seed=2"});
}
