// plan_gc: what goes, in which order, and what never does.
#include "server/retention/retention.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/db/fixtures.h"

using namespace moelab;
using core::RunState;
using server::DropKind;
using server::GcPlan;
using server::HeldRun;
using server::HomeListing;
using test::at_s;

namespace {

constexpr std::int64_t kDay = 24 * 3600;
constexpr std::int64_t kNow = 100 * kDay;

// An ended run with checkpoints of 10 bytes each at these steps; the best is the second.
HeldRun ended(std::int64_t id, RunState state, std::int64_t finished_s, std::vector<std::int64_t> steps) {
  HeldRun run;
  run.id = id;
  run.path = "runs/" + std::to_string(id);
  run.state = state;
  run.started_at = run.attempt_started_at = at_s(finished_s - 100);
  run.finished_at = at_s(finished_s);
  for (const std::int64_t step : steps) {
    const std::string path = run.path + "/checkpoints/step_" + std::to_string(step);
    run.checkpoints.push_back({{path, 10, at_s(finished_s)}, step, run.checkpoints.size() == 1});
    run.bytes += 10;
  }
  return run;
}

GcPlan plan(std::vector<HeldRun> runs, const server::GcRules& rules = {}) {
  HomeListing home;
  home.runs = std::move(runs);
  for (const HeldRun& run : home.runs) home.bytes += run.bytes;
  return server::plan_gc(home, rules, at_s(kNow));
}

std::vector<std::string> paths(const GcPlan& plan) {
  std::vector<std::string> list;
  for (const server::Drop& drop : plan.drops) list.push_back(drop.path);
  return list;
}

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("an ended run keeps its newest checkpoints and its best; one that has not ended keeps all") {
  HeldRun run = ended(1, RunState::completed, 10, {1, 2, 3, 4, 5});
  CHECK(paths(plan({run})) == Paths{"runs/1/checkpoints/step_1", "runs/1/checkpoints/step_3"});
  run.keep_best = false;
  CHECK(paths(plan({run})) == Paths{"runs/1/checkpoints/step_1", "runs/1/checkpoints/step_2", "runs/1/checkpoints/step_3"});
  run.keep_best = true;
  server::GcRules rules;
  rules.keep_checkpoints = 0;
  CHECK(paths(plan({run}, rules)).size() == 4);
  rules.keep_checkpoints = 9;
  CHECK(plan({run}, rules).drops.empty());
  for (const RunState state : core::all_run_states()) {
    run.state = state;
    CHECK_MESSAGE(plan({run}).drops.empty() == !core::is_terminal(state), core::to_string(state));
  }
  run.state = RunState::completed;
  run.worker_lives = true;  // whatever the database says
  CHECK(plan({run}).drops.empty());
}

TEST_CASE("the newest and the best checkpoint of a run that another one needs are never dropped") {
  HeldRun run = ended(1, RunState::completed, 10, {1, 2, 3});
  run.keep_best = false;
  run.needed = true;
  server::GcRules rules;
  rules.keep_checkpoints = 0;
  rules.quota_bytes = 0;
  const GcPlan needed = plan({run}, rules);
  CHECK(paths(needed) == Paths{"runs/1/checkpoints/step_1"});
  CHECK(!needed.within_quota);
  run.needed = false;
  CHECK(paths(plan({run}, rules)).size() == 3);
  run.checkpoints[0].needed = true;  // the very one that is named
  CHECK(paths(plan({run}, rules)) == Paths{"runs/1/checkpoints/step_2", "runs/1/checkpoints/step_3"});
}

TEST_CASE("over the quota, checkpoints of ended runs go until it is met: results first, then the longest ended") {
  const std::vector<HeldRun> runs = {ended(1, RunState::failed, 10, {1, 2}), ended(2, RunState::completed, 30, {1, 2}),
                                     ended(3, RunState::pruned, 20, {1, 2}), ended(4, RunState::running, 5, {1, 2}),
                                     ended(5, RunState::paused, 5, {1, 2})};
  server::GcRules rules;
  rules.quota_bytes = 100;
  CHECK(plan(runs, rules).drops.empty());
  rules.quota_bytes = 75;
  const GcPlan some = plan(runs, rules);
  CHECK(paths(some) == Paths{"runs/3/checkpoints/step_1", "runs/3/checkpoints/step_2", "runs/2/checkpoints/step_1"});
  CHECK(some.bytes_dropped == 30);
  CHECK(some.within_quota);
  rules.quota_bytes = 10;
  const GcPlan all = plan(runs, rules);
  CHECK(all.drops.size() == 6);
  CHECK(all.drops.back().path == "runs/1/checkpoints/step_2");
  CHECK(all.drops.back().why.find("a retry of this run will start from step 0") != std::string::npos);
  CHECK(!all.within_quota);
  CHECK(all.notes.back().find("still holds 0 MB of a quota of 0 MB") != std::string::npos);
}

TEST_CASE("what is left half-written goes, but not from under the one who writes; what is damaged goes once the run is over") {
  HeldRun run = ended(1, RunState::failed, 1000, {});
  run.half_written = {{"runs/1/checkpoints/.tmp_step_1", 5, at_s(880)}, {"runs/1/checkpoints/.tmp_step_2", 5, at_s(950)}};
  run.damaged = {{"runs/1/checkpoints/step_9.damaged", 7, at_s(890)}};
  CHECK(plan({run}).drops.size() == 3);
  CHECK(plan({run}).bytes_dropped == 17);
  run.state = RunState::running;  // since second 900
  CHECK(paths(plan({run})) == Paths{"runs/1/checkpoints/.tmp_step_1"});
  run.attempt_started_at.reset();
  CHECK(plan({run}).drops.empty());
  run.state = RunState::queued;
  CHECK(plan({run}).drops.size() == 3);
}

TEST_CASE("a directory without a run goes only if nothing was ever trained in it") {
  HeldRun stray;
  stray.path = "runs/7";
  stray.bytes = 12;
  stray.known = false;
  stray.has_journal = false;
  CHECK(paths(plan({stray})) == Paths{"runs/7"});
  stray.worker_lives = true;
  CHECK(plan({stray}).drops.empty());
  CHECK(plan({stray}).notes.at(0).find("a worker trains in it") != std::string::npos);
  stray.worker_lives = false;
  stray.has_journal = true;
  stray.checkpoints = ended(7, RunState::failed, 1, {1, 2, 3, 4}).checkpoints;
  CHECK(plan({stray}).drops.empty());
  CHECK(plan({stray}).notes.at(0).find("`moelab db rebuild` may bring it back") != std::string::npos);
}

TEST_CASE("a cache entry goes when nobody has used it for long, and no open run can have") {
  HomeListing home;
  home.cache = {{"cache/tokens/new", 3, at_s(kNow - 5 * kDay)}, {"cache/tokens/old", 4, at_s(kNow - 40 * kDay)}};
  const auto drops = [&](const server::GcRules& rules) { return paths(server::plan_gc(home, rules, at_s(kNow))); };
  CHECK(drops({}) == Paths{"cache/tokens/old"});
  CHECK(server::plan_gc(home, {}, at_s(kNow)).drops[0].why == "no run has used it for 40 days; it is built again when one needs it");
  server::GcRules rules;
  rules.older_than = std::chrono::hours(24);
  CHECK(drops(rules).size() == 2);
  home.runs = {ended(1, RunState::queued, 0, {})};
  home.runs[0].started_at = at_s(kNow - 41 * kDay);
  CHECK(drops(rules).empty());
  home.runs[0].started_at = at_s(kNow - 39 * kDay);
  CHECK(drops(rules) == Paths{"cache/tokens/old"});
  home.runs[0].state = RunState::completed;
  home.runs[0].started_at = at_s(0);
  CHECK(drops(rules).size() == 2);
}

TEST_CASE("in a thousand random homes nothing of an open run goes, nothing goes twice, and a quota that can be met is met") {
  std::mt19937 random(5);
  const auto upto = [&](int n) { return static_cast<std::int64_t>(random() % static_cast<unsigned>(n + 1)); };
  for (int round = 0; round < 1000; ++round) {
    CAPTURE(round);
    std::vector<HeldRun> runs;
    std::uint64_t untouchable = 0;
    for (std::int64_t id = 1; id <= 6; ++id) {
      std::vector<std::int64_t> steps;
      for (std::int64_t step = 1; step <= upto(4); ++step) steps.push_back(step);
      const auto& states = core::all_run_states();
      HeldRun run = ended(id, states[static_cast<std::size_t>(upto(static_cast<int>(states.size()) - 1))], 1 + upto(50), steps);
      run.needed = upto(3) == 0;
      run.keep_best = upto(1) == 0;
      run.keep_last = 1 + upto(2);
      run.worker_lives = upto(9) == 0;
      const bool open = !core::is_terminal(run.state) || run.worker_lives;
      const std::size_t kept_for_others = run.needed ? std::min<std::size_t>(2, run.checkpoints.size()) : 0;
      const bool best_is_newest = run.checkpoints.size() == 2;
      untouchable += open ? run.bytes : 10 * (kept_for_others - (run.needed && best_is_newest ? 1 : 0));
      runs.push_back(run);
    }
    server::GcRules rules;
    rules.quota_bytes = static_cast<std::uint64_t>(upto(200));
    const GcPlan made = plan(runs, rules);
    std::vector<std::string> gone = paths(made);
    std::sort(gone.begin(), gone.end());
    CHECK(std::adjacent_find(gone.begin(), gone.end()) == gone.end());
    for (const server::Drop& drop : made.drops) {
      const HeldRun& run = runs[static_cast<std::size_t>(*drop.run - 1)];
      CHECK(core::is_terminal(run.state));
      CHECK(!run.worker_lives);
    }
    CHECK(made.bytes_before - made.bytes_dropped >= untouchable);
    CHECK(made.within_quota == (std::max(untouchable, made.bytes_before - made.bytes_dropped) <= *rules.quota_bytes));
    if (untouchable <= *rules.quota_bytes) CHECK(made.within_quota);
  }
}
