// The rule of an experiment meets the database: which runs it looks at, what it remembers, whom it spares.
#include "server/analysis/prune_watch.h"

#include <doctest/doctest.h>

#include "db/daemon_state_store.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using core::RunState;

namespace {

constexpr const char* kAsha =
    R"({"rule": "asha", "metric": "train/loss", "direction": "down", "min_steps": 10, "reduction": 2, "max_rungs": null})";

struct Pruned : test::EngineHome {
  db::ExperimentId experiment(const std::string& name, const std::string& rule, const std::string& baseline = "") {
    return database.write([&](db::Connection& c) {
      return db::ExperimentStore(c).put({0, "study", name, "", baseline, "", {}, "study.yaml", 0, clock.now(), rule});
    });
  }
  // A run of the experiment that trains, with these losses at steps 10, 20, ...
  std::int64_t live(db::ExperimentId id, const std::string& name, const std::vector<double>& losses, const std::string& baseline = "") {
    const std::int64_t run = add_run(name);
    list(id, name, run, baseline);
    database.write([&](db::Connection& c) {
      db::RunStore runs(c);
      runs.begin_attempt(run, {"cpu" + std::to_string(run)}, clock.now());
      runs.mark_running(run, clock.now());
    });
    for (std::size_t i = 0; i < losses.size(); ++i) loss(run, 10 * (static_cast<std::int64_t>(i) + 1), losses[i]);
    return run;
  }
  void list(db::ExperimentId id, const std::string& name, std::int64_t run, const std::string& baseline = "") {
    database.write([&](db::Connection& c) { db::ExperimentStore(c).put_member({id, "", name, run, baseline, "", "", {}}); });
  }
  void loss(std::int64_t run, std::int64_t step, double value) {
    database.write([&](db::Connection& c) { db::MetricStore(c).put(run, 1, step, {{"train/loss", value}}); });
  }
  void end(std::int64_t run, RunState to) {
    database.write([&](db::Connection& c) {
      db::AttemptEnd end;
      end.to = to;
      db::RunStore(c).end_attempt(run, end, clock.now());
    });
  }
  std::vector<std::int64_t> look(server::PruneWatch& watch) {
    clock.advance(std::chrono::seconds(1));
    std::vector<std::int64_t> runs;
    for (const server::PruneVerdict& verdict : watch.look(clock.steady())) runs.push_back(verdict.run);
    return runs;
  }
  using Runs = std::vector<std::int64_t>;
};

}  // namespace

TEST_CASE("the watch names the runs that a rule ends, with the reason, and looks once a second") {
  Pruned t;
  const db::ExperimentId id = t.experiment("e", kAsha);
  t.live(id, "good", {1});
  const std::int64_t bad = t.live(id, "bad", {2});
  server::PruneWatch watch(t.database);
  const std::vector<server::PruneVerdict> verdicts = watch.look(t.clock.steady());
  REQUIRE(verdicts.size() == 1);
  CHECK(verdicts[0].run == bad);
  CHECK(verdicts[0].reason == "asha: at step 10 its train/loss 2 is 2nd of 2; the best one goes on (cut 1)");
  t.clock.advance(std::chrono::milliseconds(999));
  CHECK(watch.look(t.clock.steady()).empty());
  CHECK(t.look(watch) == Pruned::Runs{bad});  // it still runs
  t.end(bad, RunState::pruned);
  CHECK(t.look(watch).empty());
}

TEST_CASE("values that come in later are seen, and runs that have ended are compared with") {
  Pruned t;
  const db::ExperimentId id = t.experiment("e", kAsha);
  const std::int64_t first = t.live(id, "first", {3});
  server::PruneWatch watch(t.database);
  CHECK(t.look(watch).empty());
  t.end(first, RunState::completed);
  const std::int64_t second = t.live(id, "second", {});
  CHECK(t.look(watch).empty());
  t.loss(second, 9, 100);
  CHECK(t.look(watch).empty());
  t.loss(second, 10, 4);
  CHECK(t.look(watch) == Pruned::Runs{second});
}

TEST_CASE("a run that was let through a rung stays through when better ones come, also for a daemon that starts anew") {
  Pruned t;
  const db::ExperimentId id = t.experiment("e", kAsha);
  t.live(id, "early", {5});
  {
    server::PruneWatch watch(t.database);
    CHECK(t.look(watch).empty());
  }
  server::PruneWatch after_restart(t.database);
  t.live(id, "better", {1});
  CHECK(t.look(after_restart).empty());
  t.live(id, "best", {0.5});
  CHECK(t.look(after_restart).empty());
}

TEST_CASE("experiments remember each for itself, and a run that two of them would end is named once") {
  Pruned t;
  const db::ExperimentId a = t.experiment("a", kAsha), b = t.experiment("b", kAsha);
  t.live(a, "early a", {5});
  t.live(b, "early b", {5});
  server::PruneWatch watch(t.database);
  CHECK(t.look(watch).empty());
  t.live(a, "better a", {1});
  t.live(b, "better b", {1});
  CHECK(t.look(watch).empty());
  CHECK(t.look(watch).empty());
  const std::int64_t worst = t.live(a, "worst", {9});
  t.list(b, "worst", worst);
  CHECK(t.look(watch) == Pruned::Runs{worst});
}

TEST_CASE("a run that its experiment lists twice counts once") {
  Pruned t;
  const db::ExperimentId id = t.experiment("e", kAsha);
  t.live(id, "good", {1});
  const std::int64_t bad = t.live(id, "bad", {2}), worse = t.live(id, "worse", {3});
  t.list(id, "alias", worse);
  server::PruneWatch watch(t.database);
  CHECK(t.look(watch) == Pruned::Runs{bad, worse});  // the best of three goes on, not the best two of four
}

TEST_CASE("a value counts once, however often it is looked at") {
  Pruned t;
  const db::ExperimentId id = t.experiment(
      "e", R"({"rule": "median", "metric": "train/loss", "direction": "down", "min_steps": 20, "min_runs": 1})");
  const std::int64_t other = t.live(id, "other", {1}), run = t.live(id, "run", {3});
  server::PruneWatch watch(t.database);
  for (int i = 0; i < 5; ++i) CHECK(t.look(watch).empty());
  t.loss(other, 20, 4);
  t.loss(run, 20, 2);
  CHECK(t.look(watch).empty());  // the other's mean is 2.5
}

TEST_CASE("a baseline and a run that somebody else counts on are spared, and still compared with") {
  Pruned t;
  const db::ExperimentId id = t.experiment("e", kAsha, "base"), other = t.experiment("other", "");
  t.live(id, "base", {9}, "base");
  t.live(id, "best", {1}, "base");
  const std::int64_t shared = t.live(id, "shared", {8}, "base");
  t.list(other, "mine", shared);
  server::PruneWatch watch(t.database);
  CHECK(t.look(watch).empty());
  const std::int64_t bad = t.live(id, "bad", {7}, "base");
  CHECK(t.look(watch).empty());  // second of four
  t.loss(bad, 20, 9);
  const std::int64_t worse = t.live(id, "worse", {7.5}, "base");
  CHECK(t.look(watch) == Pruned::Runs{worse});
}

TEST_CASE("a run that another experiment measures against goes on") {
  for (const bool measured_against : {true, false}) {
    Pruned t;
    const db::ExperimentId id = t.experiment("e", kAsha), other = t.experiment("other", "");
    t.live(id, "good", {1});
    const std::int64_t weak = t.live(id, "weak", {2});
    const std::int64_t measured = t.add_run("measured");
    const std::string key = measured_against ? t.run(weak).key : "";
    t.database.write([&](db::Connection& c) { db::ExperimentStore(c).put_member({other, "", "measured", measured, "weak", key, "", {}}); });
    server::PruneWatch watch(t.database);
    CHECK(t.look(watch) == (measured_against ? Pruned::Runs{} : Pruned::Runs{weak}));
  }
}

TEST_CASE("runs that do not train, and experiments without a rule, are left alone") {
  Pruned t;
  const db::ExperimentId id = t.experiment("e", kAsha), without = t.experiment("without", "");
  t.live(without, "a", {1});
  t.live(without, "b", {2});
  t.live(id, "good", {1});
  const std::int64_t stopping = t.live(id, "stopping", {2});
  t.database.write([&](db::Connection& c) { db::RunStore(c).request_stop(stopping, db::StopIntent::pause, "", t.clock.now()); });
  server::PruneWatch watch(t.database);
  CHECK(t.look(watch).empty());
  t.end(stopping, RunState::paused);
  CHECK(t.look(watch).empty());
}

TEST_CASE("an attempt that goes on from a checkpoint is judged by its own values") {
  Pruned t;
  const db::ExperimentId id = t.experiment("e", kAsha);
  const std::int64_t good = t.live(id, "good", {1});
  t.end(good, RunState::completed);
  const std::int64_t run = t.live(id, "run", {0.5});
  server::PruneWatch watch(t.database);
  CHECK(t.look(watch).empty());
  t.database.write([&](db::Connection& c) {
    db::RunStore runs(c);
    db::AttemptEnd crash;
    crash.to = RunState::queued;
    runs.end_attempt(run, crash, t.clock.now());
    runs.begin_attempt(run, {"cpu0"}, t.clock.now());
    db::MetricStore(c).supersede(run, 2, 5);
    runs.mark_running(run, t.clock.now());
  });
  CHECK(t.look(watch).empty());
  t.database.write([&](db::Connection& c) { db::MetricStore(c).put(run, 2, 10, {{"train/loss", 3}}); });
  CHECK(t.look(watch) == Pruned::Runs{run});
}
