// The study of the repository's own experiments.yaml: parameter counts as published, baselines, one training for equal runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "tests/core/plan_fixture.h"

using namespace moelab::core;

namespace {

Plan study(const std::string& profile) {
  std::ifstream stream(std::string(MOELAB_SOURCE_DIR) + "/experiments.yaml");
  PlanRequest request = request_for(std::string(std::istreambuf_iterator<char>(stream), {}));
  request.profile = profile;
  return make_plan(request);
}

}  // namespace

TEST_CASE("the paper profile has the published parameter counts") {
  const std::map<std::string, double> published_millions{
      {"00_llama2_ref", 137.245},      {"01_moedl_dense", 137.245},     {"a0_moedl_no_lb", 401.54},     {"a1_moedl_lb_penalty", 401.54},
      {"a2_moedl_lb_biasing", 401.54}, {"b1_moedl_e2_k1", 175.01},      {"b2_moedl_e4_k1", 250.52},     {"b3_moedl_e8_k1", 401.54},
      {"b4_moedl_e16_k1", 703.57},     {"b20_moedl_e4_k1_4ep", 250.52}, {"c1_moedl_e8_k1", 401.54},     {"c2_moedl_e16_k2", 401.58},
      {"c3_moedl_e32_k4", 401.68},     {"c4_moedl_e64_k8", 401.88},     {"d1_moedl_s0_k4_e32", 401.68}, {"d2_moedl_s1_k3_e31", 401.68},
      {"d3_moedl_s2_k2_e30", 401.67},  {"d4_moedl_s3_k1_e29", 401.66},  {"e1_moedl_cf_1.0", 401.54},    {"e2_moedl_cf_1.5", 401.54},
      {"e3_moedl_cf_2.0", 401.54},     {"e4_moedl_cf_2.5", 401.54},
  };
  const Plan plan = study("paper");
  const std::set<std::string> later{"k1_gates", "nanomoe_ladder", "moe_emergence"};
  const auto moe_lab =
      std::count_if(plan.runs.begin(), plan.runs.end(), [&](const auto& run) { return !later.contains(run.spec.experiment); });
  CHECK(moe_lab == std::ssize(published_millions));
  for (const auto& [name, millions] : published_millions) {
    INFO(name);
    // Published figures are cut or rounded to the digits shown.
    const double ours = static_cast<double>(run_called(plan, name).cost.total_parameters) / 1e6;
    CHECK(std::abs(ours - millions) < (millions == 137.245 ? 0.0005 : 0.0055));
    CHECK_FALSE(run_called(plan, name).spec.notes.empty());
  }
  CHECK(std::abs(static_cast<double>(run_called(plan, "n0_baseline").cost.total_parameters) / 1e6 - 55.1) < 0.5);  // nanoMoE, another trunk
  CHECK(run_called(plan, "01_moedl_dense").cost.total_parameters == 137'245'440);
  CHECK(run_called(plan, "a0_moedl_no_lb").cost.active_parameters == 137'245'440 + 8 * 8 * 768);
}

TEST_CASE("both profiles hold the same runs, and equal ones train once") {
  const Plan paper = study("paper"), demo = study("demo");
  CHECK(names_of(paper) == names_of(demo));
  // The demo weighs a single expert by its score already, so there the prob half of k1_gates is the b-series.
  for (const auto& [plan, distinct] : {std::pair{&paper, 36}, {&demo, 32}}) {
    std::set<std::string> keys;
    for (const PlannedRun& run : plan->runs) keys.insert(run.spec.key);
    CHECK(std::ssize(keys) == distinct);
    const std::string a2 = run_called(*plan, "a2_moedl_lb_biasing").spec.key;
    CHECK(run_called(*plan, "b3_moedl_e8_k1").spec.key == a2);
    CHECK(run_called(*plan, "c1_moedl_e8_k1").spec.key == a2);
    CHECK(run_called(*plan, "d1_moedl_s0_k4_e32").spec.key == run_called(*plan, "c3_moedl_e32_k4").spec.key);
    CHECK(run_called(*plan, "e1_moedl_cf_1.0").spec.baseline_key == a2);
    CHECK(run_called(*plan, "b1_moedl_e2_k1").spec.baseline == "01_moedl_dense");
    for (const PlannedRun& run : plan->runs) CHECK_FALSE(run.spec.baseline_key.empty());
    CHECK(plan->warnings.empty());
  }
}

TEST_CASE("the demo is the paper scaled down: series c and d keep their active width") {
  const Plan demo = study("demo");
  const auto active = [&](const std::string& name) { return run_called(demo, name).cost.active_parameters; };
  const std::int64_t router = 4 * 128;  // parameters an expert adds to the routers of 4 layers of width 128
  CHECK(active("c2_moedl_e16_k2") == active("c1_moedl_e8_k1") + 8 * router);
  CHECK(active("c4_moedl_e64_k8") == active("c1_moedl_e8_k1") + 56 * router);
  CHECK(active("d4_moedl_s3_k1_e29") == active("d1_moedl_s0_k4_e32") - 3 * router);
}

TEST_CASE("the study of specialisation trains on three domains in both profiles, and nothing else does") {
  for (const char* profile : {"paper", "demo"}) {
    int runs = 0;
    for (const PlannedRun& run : study(profile).runs) {
      const DataConfig& data = run.spec.config.data;
      if (run.spec.experiment != "moe_emergence") {
        CHECK(data.domains.empty());
        continue;
      }
      ++runs;
      REQUIRE(data.domains.size() == 3);
      CHECK(data.domains.contains("code"));  // without it there is no table of token types
      CHECK(data.path.empty());
    }
    CHECK(runs == 5);
  }
}
