// Submissions at the same moment, on real threads: each run is created once, whoever comes first.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/plan.h"
#include "db/run_store.h"
#include "server/submission.h"
#include "tests/db/fixtures.h"
#include "tests/db/temp_dir.h"

using namespace moelab;

namespace {

core::Plan plan_of(int first, int count) {
  core::Plan plan;
  plan.matrix = "m";
  plan.experiments.emplace_back().name = "e";
  for (int i = first; i < first + count; ++i) {
    core::PlannedRun run;
    run.spec.matrix = "m";
    run.spec.experiment = "e";
    run.spec.name = "r" + std::to_string(i);
    run.spec.key = "key-" + run.spec.name;
    plan.runs.push_back(std::move(run));
  }
  return plan;
}

}  // namespace

TEST_CASE("simultaneous submissions create each run once, and tell every caller the same runs") {
  const test::TempDir dir;
  const server::HomePaths paths(dir.path());
  db::Database database(paths.database());
  constexpr int kThreads = 4, kRounds = 10, kRuns = 6;
  std::atomic<std::int64_t> created = 0, reused = 0;
  std::vector<std::jthread> people;
  for (int person = 0; person < kThreads; ++person) {
    people.emplace_back([&, person] {
      for (int round = 0; round < kRounds; ++round) {  // windows that overlap with those of the others
        const core::Plan plan = plan_of(2 * round + person, kRuns);
        const server::Submitted taken = server::record_plan(database, paths, plan, "study.yaml", false, test::at_s(0));
        created += taken.created;
        reused += taken.reused;
      }
    });
  }
  people.clear();
  constexpr int kDistinct = 2 * (kRounds - 1) + (kThreads - 1) + kRuns;
  CHECK(created == kDistinct);
  CHECK(created + reused == kThreads * kRounds * kRuns);
  const auto runs = database.read([](db::Connection& c) { return db::RunStore(c).in_states({core::RunState::queued}); });
  CHECK(runs.size() == kDistinct);
  for (const db::RunRow& run : runs) CHECK(test::read_text(paths.spec(run.id)).find("\"" + run.key + "\"") != std::string::npos);
}
