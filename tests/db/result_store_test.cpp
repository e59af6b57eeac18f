// One metric over the members of an experiment, and the final values that attempts leave.
#include "db/result_store.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "db/experiment_store.h"
#include "db/metric_store.h"
#include "tests/db/fixtures.h"

using namespace moelab;
using core::RunState;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Experiments "a" (a0 is the baseline) and "b" (compared with a0), two seeds each but for b0.
struct Study : test::TempDatabase {
  Study() {
    database.write([&](db::Connection& c) {
      db::ExperimentStore experiments(c);
      a = experiments.put({0, "study", "a", "", "a0", "", {}, "study.yaml", 0, test::at_s(0)});
      b = experiments.put({0, "study", "b", "", "a0", "", {}, "study.yaml", 0, test::at_s(0)});
    });
    add(a, "a0", 0, "a0");
    add(a, "a0", 1, "a0");
    add(a, "a1", 0, "a0");
    add(a, "a1", 1, "a0");
    add(b, "b0", 1, "a0");
  }
  void add(db::ExperimentId experiment, const std::string& family, std::int64_t seed, const std::string& baseline) {
    database.write([&](db::Connection& c) {
      const std::string name = family + ",seed=" + std::to_string(seed), base = baseline + ",seed=" + std::to_string(seed);
      db::MemberRow member;
      member.experiment_id = experiment;
      member.name = name;
      member.family = family;
      member.run_id = db::RunStore(c).insert(test::new_run(name, 0, seed), test::at_s(0));
      member.baseline = base;
      member.baseline_key = "key-" + base;
      db::ExperimentStore(c).put_member(member);
    });
  }
  void value(db::RunId run, double loss) {
    database.write([&](db::Connection& c) { db::MetricStore(c).put(run, 1, 40, {{"eval/loss", loss}}); });
  }
  // A whole attempt that ends with `status`, and with `values` when it completed.
  void attempt(db::RunId run, const std::string& status, const std::map<std::string, double>& values, const std::string& reason = "") {
    database.write([&](db::Connection& c) {
      db::RunStore runs(c);
      if (core::is_terminal(runs.get(run).state)) runs.requeue(run, true, "", test::at_s(1));
      const int attempt = runs.begin_attempt(run, {"cpu0"}, test::at_s(1));
      runs.set_final_word(run, attempt, {status, reason, ""});
      if (status == "completed") db::ResultStore(c).put_final_values(run, attempt, values);
      db::AttemptEnd end;
      end.to = status == "completed" ? RunState::completed : RunState::failed;
      runs.end_attempt(run, end, test::at_s(2));
    });
  }
  std::vector<db::MemberReading> members(db::ExperimentId experiment, const std::string& metric = "eval/loss") {
    return database.read([&](db::Connection& c) { return db::ResultStore(c).members(experiment, metric); });
  }
  std::map<db::RunId, std::vector<double>> repeats(const std::string& metric) {
    return database.read([&](db::Connection& c) { return db::ResultStore(c).repeats(a, metric); });
  }
  db::ExperimentId a = 0, b = 0;
};

}  // namespace

TEST_CASE("members stand beside the runs of their baseline, wherever those are listed") {
  Study study;
  study.value(1, 4.0);
  study.value(2, kNan);
  study.value(3, 3.5);
  study.value(5, 3.0);
  study.attempt(1, "completed", {});
  study.attempt(2, "failed", {}, "non_finite");
  const auto a = study.members(study.a);
  REQUIRE(a.size() == 4);
  CHECK(a[0].family == "a0");
  CHECK(a[0].own.run == 1);
  CHECK(a[0].own.state == RunState::completed);
  CHECK(a[0].against->run == 1);
  CHECK(std::isnan(*a[1].own.value));
  CHECK(a[1].own.final_reason == "non_finite");
  CHECK(a[2].baseline == "a0");
  CHECK(a[2].own.value == 3.5);
  CHECK(a[2].own.final_reason.empty());
  CHECK(a[2].against->value == 4.0);
  CHECK(a[2].against->seed == 0);
  CHECK_FALSE(a[3].own.value);
  CHECK(std::isnan(*a[3].against->value));

  const auto b = study.members(study.b);
  REQUIRE(b.size() == 1);
  CHECK(b[0].baseline == "a/a0");
  CHECK(b[0].against->run == 2);
  CHECK_FALSE(study.members(study.a, "train/loss")[0].own.value);
  CHECK(study.database.read([&](db::Connection& c) { return db::ResultStore(c).metrics(study.a); }) ==
        std::vector<std::string>{"eval/loss"});
}

TEST_CASE("a baseline that was never submitted is no baseline run") {
  Study study;
  study.add(study.b, "b1", 9, "a0");
  const auto b = study.members(study.b);
  CHECK_FALSE(b[1].against);
  CHECK(b[1].baseline == "a0,seed=9");
}

TEST_CASE("every completed attempt leaves its values; repeats are those of runs with two or more") {
  Study study;
  study.attempt(1, "completed", {{"eval/loss", 4.0}, {"eval/perplexity", std::numeric_limits<double>::infinity()}});
  study.attempt(1, "failed", {});
  study.attempt(1, "completed", {{"eval/loss", 4.25}});
  study.attempt(1, "completed", {{"eval/loss", kNan}});
  study.attempt(2, "completed", {{"eval/loss", 5}});
  const auto loss = study.repeats("eval/loss");
  REQUIRE(loss.size() == 1);
  REQUIRE(loss.at(1).size() == 3);
  CHECK(loss.at(1)[0] == 4.0);
  CHECK(loss.at(1)[1] == 4.25);
  CHECK(std::isnan(loss.at(1)[2]));
  CHECK(study.repeats("eval/perplexity").empty());  // one attempt only
}
