#include "core/lr_sweep.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/core/plan_fixture.h"

using namespace moelab::core;
using Names = std::vector<std::string>;

namespace {

const char* const kStudy = R"(
  - name: base
    variants: {dense: {moe.num_experts: 1}}
  - name: moe
    baseline: few
    seeds: [3, 4]
    early_stop: {collapse: true}
    defaults:
      moe: {num_experts: 4, num_active_experts: 1}
      train: {max_steps: 900, schedule: cosine, eval_interval: 50, save_interval: 50}
    variants:
      few: {}
      many: {moe.num_experts: 8, depends_on: few}
      up: {train: {init_from: "run:dense", upcycle: true}, moe.norm_topk_prob: true}
)";

PlanRequest swept(LrSweep sweep = {}) {
  PlanRequest request = request_for(with_experiments(kStudy));
  request.lr_sweep = std::move(sweep);
  return request;
}

LrSweep with_rates(std::vector<double> rates, std::int64_t steps = 150, std::int64_t warmup = 30) {
  return {std::move(rates), steps, warmup};
}

}  // namespace

TEST_CASE("a sweep tries moe-lab's twelve rates on each variant, briefly and from one seed") {
  PlanRequest request = swept();
  request.only = {"few*", "many*"};
  const Plan plan = make_plan(request);
  REQUIRE(plan.runs.size() == 24);
  CHECK(plan.experiments.size() == 1);
  CHECK(plan.experiments[0].name == "moe.lr_sweep");
  CHECK(plan.experiments[0].baseline.empty());
  CHECK(names_of(plan)[0] == "few,lr=1e-05");
  CHECK(names_of(plan)[12] == "many,lr=1e-05");
  CHECK(names_of(plan)[11] == "few,lr=0.008");
  for (const PlannedRun& run : plan.runs) {
    const RunConfig& config = run.spec.config;
    CHECK(config.seed == 3);
    CHECK(config.train.max_steps == 150);
    CHECK(config.train.warmup_steps == 30);
    CHECK(config.train.schedule == Schedule::constant);
    CHECK(config.train.eval_interval == 150);
    CHECK(config.train.save_interval == 150);
    CHECK(config.train.log_interval == 1);
    CHECK_FALSE(config.early_stop.collapse);
    CHECK(run.spec.name.ends_with("lr=" + nlohmann::json(config.train.lr).dump()));
    CHECK(run.spec.depends_on.empty());
    CHECK(run.spec.baseline.empty());
    CHECK(run.same_as.empty());
  }
  CHECK(plan.runs[0].varied.contains("train.lr"));
}

TEST_CASE("a swept run that starts from another's weights brings that one along, unchanged") {
  PlanRequest request = swept(with_rates({1e-3, 1e-4}));
  request.only = {"up,seed=3"};
  const Plan plan = make_plan(request);
  CHECK(names_of(plan) == Names{"dense", "up,lr=0.0001", "up,lr=0.001"});
  CHECK(plan.runs[1].spec.config.train.init_from == "run:" + plan.runs[0].spec.key);
  CHECK(plan.runs[0].spec.config.train.max_steps == std::nullopt);
}

TEST_CASE("a sweep planned again has the same keys, one with a rate more the same and its own") {
  PlanRequest request = swept(with_rates({1e-3, 1e-4}));
  request.only = {"few,*"};
  const Plan first = make_plan(request), again = make_plan(request);
  request.lr_sweep = with_rates({1e-4, 1e-3, 1e-2});
  const Plan more = make_plan(request);
  CHECK(first.runs[0].spec.key == again.runs[0].spec.key);
  REQUIRE(more.runs.size() == 3);
  CHECK(more.runs[0].spec.key == first.runs[0].spec.key);
  CHECK(more.runs[1].spec.key == first.runs[1].spec.key);
}

TEST_CASE("an experiment that varies the rate itself is swept with a warning") {
  PlanRequest request = request_for(with_experiments("  - {name: one, matrix: {train.lr: [1, 2]}}\n"));
  request.lr_sweep = with_rates({1e-3});
  const Plan plan = make_plan(request);
  CHECK(plan.runs[1].same_as == "one.lr_sweep/lr=1,lr=0.001");
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].message == "one varies the rate itself, so its runs are swept alike; leave it out with --only");
}

TEST_CASE("a sweep without values, or with wrong ones, is refused with the remedy") {
  const auto message = [](LrSweep sweep) -> std::string {
    try {
      make_plan(swept(std::move(sweep)));
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::usage);
      return e.what();
    }
    return "no error";
  };
  CHECK(message(with_rates({})) == "lr_sweep: rates is empty; name at least one learning rate, or leave it out for the usual 12");
  CHECK(message(with_rates({1e-3, 0})) == "lr_sweep: a rate must be greater than 0, not 0");
  CHECK(message(with_rates({-1})) == "lr_sweep: a rate must be greater than 0, not -1");
  CHECK(message(with_rates({std::numeric_limits<double>::infinity()})).starts_with("lr_sweep: a rate must be a number"));
  CHECK(message(with_rates({1e-3, 1e32})) == "lr_sweep: a rate must be at most 1e+30, not 1e+32");
  CHECK(message(with_rates({1e-3, 1e-3})) == "lr_sweep: rates lists 0.001 twice");
  CHECK(message(with_rates({1e-3}, 0)) == "lr_sweep: steps must be at least 1, not 0");
  CHECK(message(with_rates({1e-3}, 30, 30)) == "lr_sweep: warmup must be at least 0 and shorter than the 30 steps, not 30");
  CHECK(message(with_rates({1e-3}, 30, -1)) == "lr_sweep: warmup must be at least 0 and shorter than the 30 steps, not -1");
  std::vector<double> many;
  for (int i = 1; i <= 101; ++i) many.push_back(i);
  CHECK(message(with_rates(many)) == "lr_sweep: rates has 101 values; the limit is 100");
  CHECK(message(with_rates({1e-3}, 1, 0)) == "no error");
}

TEST_CASE("overrides of single runs come after those of all, for one seed or for every seed") {
  PlanRequest request = request_for(with_experiments(kStudy));
  request.only = {"moe"};
  request.overrides = {"train.lr=0.5"};
  request.run_overrides = {{"moe/few", {"train.lr=0.25"}}, {"moe/many,seed=4", {"train.lr=0.125", "train.eps=1"}}};
  const Plan plan = make_plan(request);
  CHECK(run_called(plan, "few,seed=3").spec.config.train.lr == 0.25);
  CHECK(run_called(plan, "few,seed=4").spec.config.train.lr == 0.25);
  CHECK(run_called(plan, "many,seed=3").spec.config.train.lr == 0.5);
  CHECK(run_called(plan, "many,seed=4").spec.config.train.lr == 0.125);
  CHECK(run_called(plan, "many,seed=4").spec.config.train.eps == 1);
  CHECK(run_called(plan, "up,seed=4").spec.config.train.lr == 0.5);

  request.run_overrides = {{"moe/fwe", {"train.lr=1"}}};
  const char* const unknown =
      "override of moe/fwe: test.yaml has no such run (did you mean 'moe/few'?); runs are named EXPERIMENT/RUN here";
  CHECK_THROWS_WITH_AS(make_plan(request), unknown, Error);
  request.run_overrides = {{"moe/few", {"train.lr=quick"}}};
  CHECK_THROWS_WITH_AS(make_plan(request), "override of moe/few: train.lr: must be a number, not 'quick'", Error);
}

TEST_CASE("a rule that prunes is read, travels as JSON, and is no part of the key") {
  const auto with = [](const std::string& prune) { return plan_of("  - {name: one, variants: {a: {}}" + prune + "}\n"); };
  const Plan plain = with(""), asha = with(", prune: {rule: asha, metric: train/loss, min_steps: 100, max_rungs: 3}"),
             median = with(", prune: {rule: median, metric: router/entropy_distribution, min_steps: 200, min_runs: 7}");
  CHECK_FALSE(plain.experiments[0].prune);
  CHECK(asha.runs[0].spec.key == plain.runs[0].spec.key);
  REQUIRE(asha.experiments[0].prune);
  const PruneRule& rule = *asha.experiments[0].prune;
  CHECK(rule.kind == PruneRule::Kind::asha);
  CHECK(rule.direction == Direction::down);
  CHECK(rule.min_steps == 100);
  CHECK(rule.reduction == 3);
  CHECK(rule.max_rungs == 3);
  REQUIRE(median.experiments[0].prune);
  CHECK(median.experiments[0].prune->direction == Direction::up);
  CHECK(median.experiments[0].prune->min_runs == 7);
  for (const Plan* plan : {&asha, &median}) {
    const PruneRule& sent = *plan->experiments[0].prune;
    CHECK(prune_rule_from_json(to_json(sent)) == sent);
  }
  CHECK(with(", prune: {rule: asha, metric: train/loss, min_steps: 100, reduction: 5}").experiments[0].prune->reduction == 5);
  CHECK(with(", prune: {rule: median, metric: train/loss, min_steps: 100}").experiments[0].prune->min_runs == 4);
  CHECK_THROWS_AS(prune_rule_from_json(nlohmann::json::object()), Error);

  PlanRequest request = request_for(with_experiments("  - {name: one, prune: {rule: asha, metric: train/loss, min_steps: 100}}\n"));
  request.lr_sweep = LrSweep{};
  CHECK_FALSE(make_plan(request).experiments[0].prune);  // a rate is judged after all its steps
}
