#include "core/sample_reader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/random_stream.h"
#include "tests/core/plan_fixture.h"

using namespace moelab::core;
using Names = std::vector<std::string>;

namespace {

Plan sample_of(const std::string& knobs, int count = 20, int seed = 1) {
  return plan_of("  - name: one\n    sample: {count: " + std::to_string(count) + ", seed: " + std::to_string(seed) + ", " + knobs + "}\n");
}

std::vector<double> rates_of(const Plan& plan) {
  std::vector<double> rates;
  for (const PlannedRun& run : plan.runs) rates.push_back(run.spec.config.train.lr);
  return rates;
}

}  // namespace

TEST_CASE("the first draws are these on every machine and with every compiler") {
  // Computed apart, from the definitions of SHA-256 and of the 64-bit Mersenne twister.
  RandomStream stream(1, "train.lr");
  CHECK(stream.uniform() == 0.253146550549216);
  CHECK(stream.uniform() == 0.006039781341908745);
  CHECK(stream.uniform() == 0.8832906027009129);
  const std::string knobs =
      "train.lr: {log_uniform: [1.0e-5, 1.0e-2]}, train.batch_size: {int_uniform: [4, 64]}, train.grad_clip: {choice: [0.5, 1, 2]}";
  CHECK(names_of(sample_of(knobs, 3)) == Names{"lr=5.74698e-05,batch_size=58,grad_clip=0.5", "lr=1.0426e-05,batch_size=36,grad_clip=0.5",
                                               "lr=0.00446552,batch_size=60,grad_clip=1"});
}

TEST_CASE("a knob more changes no draw of the others, and a larger count only adds rows") {
  const std::string rate = "train.lr: {log_uniform: [1.0e-5, 1.0e-2]}";
  const std::vector<double> alone = rates_of(sample_of(rate, 30));
  CHECK(rates_of(sample_of("train.eps: {uniform: [0.1, 1]}, " + rate + ", train.beta1: {choice: [0.8, 0.9]}", 30)) == alone);
  const std::vector<double> fewer = rates_of(sample_of(rate, 12));
  CHECK(std::equal(fewer.begin(), fewer.end(), alone.begin()));
  CHECK(rates_of(sample_of(rate, 30, 2)) != alone);
  CHECK(rates_of(sample_of(rate, 30, 1)) == alone);
}

TEST_CASE("draws keep to their ranges, reach all of them, and fit the knob") {
  const Plan plan = sample_of(
      "train.lr: {log_uniform: [1.0e-5, 1.0e-2]}, train.weight_decay: {uniform: [0, 0.1]}, train.batch_size: {int_uniform: [3, 6]}, "
      "train.grad_clip: {choice: [0.5, 1, 2]}, train.log_interval: {log_uniform: [1, 100]}",
      400);
  REQUIRE(plan.runs.size() == 400);
  int low_decade = 0, lower_half = 0, few_steps = 0;
  std::set<std::int64_t> sizes;
  std::set<double> clips;
  for (const PlannedRun& run : plan.runs) {
    const TrainConfig& train = run.spec.config.train;
    CHECK(train.lr >= 1e-5);
    CHECK(train.lr <= 1e-2);
    CHECK(train.weight_decay >= 0);
    CHECK(train.weight_decay <= 0.1);
    low_decade += train.lr < 1e-4 ? 1 : 0;
    lower_half += train.weight_decay < 0.05 ? 1 : 0;
    few_steps += train.log_interval <= 10 ? 1 : 0;
    sizes.insert(train.batch_size);
    clips.insert(train.grad_clip);
  }
  // Shares 1/3, 1/2 and log(10.5)/log(100) of 400: five standard deviations of a binomial are 47, 50 and 50.
  CHECK(std::abs(low_decade - 400 / 3) <= 47);
  CHECK(std::abs(lower_half - 200) <= 50);
  CHECK(std::abs(few_steps - 204) <= 50);
  CHECK(sizes == std::set<std::int64_t>{3, 4, 5, 6});
  CHECK(clips == std::set<double>{0.5, 1, 2});
}

TEST_CASE("numbers have six digits and stay within ends that have more") {
  for (const double rate : rates_of(sample_of("train.lr: {uniform: [0.12345678, 0.12345699]}", 50))) {
    CHECK(rate >= 0.12345678);
    CHECK(rate <= 0.12345699);
  }
  for (const double rate : rates_of(sample_of("train.lr: {uniform: [0.12345612, 0.12345634]}", 50))) CHECK(rate >= 0.12345612);
}

TEST_CASE("a sample is one dimension: it multiplies with variants and seeds, and exclude sees it") {
  const Plan plan = plan_of(R"(
  - name: one
    variants: {a: {}, b: {train.beta1: 0.5}}
    sample: {count: 3, seed: 5, train.lr: {log_uniform: [1.0e-5, 1.0e-2]}, moe.num_experts: {choice: [2, 4]}}
    seeds: [0, 1]
)");
  CHECK(plan.runs.size() == 12);
  CHECK(plan.runs[0].spec.config.train.lr == run_called(plan, plan.runs[6].spec.name).spec.config.train.lr);
  CHECK(plan.runs[0].varied.contains("train.lr"));
  CHECK(plan.runs[0].spec.name.starts_with("a,lr="));
  const Plan less = plan_of(R"(
  - name: one
    sample: {count: 8, moe.num_experts: {choice: [2, 4, 8]}}
    exclude: [{moe.num_experts: 4}]
)");
  CHECK(less.runs.size() == 2);
}

TEST_CASE("rows that repeat an earlier one are left out with a warning") {
  const Plan plan = sample_of("train.batch_size: {choice: [1, 2]}", 10);
  CHECK(plan.runs.size() == 2);
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].path == "one.sample");
  CHECK(plan.warnings[0].message == "8 of 10 rows repeat an earlier one and are left out; widen a range or lower the count");
}

TEST_CASE("a choice may be of lists, written as one value, and of files") {
  const Plan plan = sample_of("moe.moe_layers: {choice: [[0], {value: [0, 1]}]}, moe.num_experts: {choice: [4]}", 10);
  CHECK(plan.runs.size() == 2);
  const TempDir dir;
  const std::string text = with_experiments("  - {name: one, sample: {count: 9, data.path: {choice: [a.txt, b.txt]}}}\n");
  for (const PlannedRun& run : make_plan(request_for(text, dir.path())).runs)
    CHECK(run.spec.config.data.path.front().starts_with(dir.path().string()));
}
