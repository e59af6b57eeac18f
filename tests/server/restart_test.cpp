// Every row of the table of states, crossed with "the daemon restarts now": whatever a run was doing, a new daemon takes it up, and what
// comes next happens as if there had been one daemon all along. The cases are generated from the table itself.
#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <functional>

#include "tests/server/workshop.h"

using namespace moelab;
using core::RunState;
using server::RunVerb;

namespace {

using enum RunState;

// A run of the workshop, put into a state and taken to the next by what really does that.
class Case {
 public:
  Case(RunState from, RunState to) : from_(from), to_(to) {
    db::Resources resources{.gpus = 0, .max_restarts = to == lost ? 0 : 3};
    if (to == timed_out || from == timed_out) resources.timeout_s = 60;
    std::string waits_for;
    if (to == skipped || from == skipped) {
      dense_ = shop.home.add_run("dense", {.gpus = 0, .max_restarts = 0});
      waits_for = "key-dense";
    }
    id = shop.home.add_run("a", resources, 0, waits_for);
    shop.home.bus.run_changed(id);
  }

  void reach_from() {
    if (from_ == queued) {
      if (to_ != starting && to_ != skipped) hold();
      return;
    }
    if (from_ == skipped) return skip();
    if (from_ == paused) {
      hold();
      CHECK_FALSE(shop.act(RunVerb::pause, id));
      return release();
    }
    shop.tick(1);
    if (from_ == starting) return;
    shop.starts(id);
    shop.tick(1);
    if (from_ == running) return;
    if (from_ == stopping) return ask_to_stop();
    if (from_ == cancelled) {
      shop.act(RunVerb::cancel, id);
      shop.tick(1);
      return leave("preempted", core::kExitPreempted);
    }
    if (from_ == lost) shop.home.database.write([&](db::Connection& c) {
      db::RunStore runs(c);
      runs.update_spec(id, runs.spec(id), {.gpus = 0, .max_restarts = 0});
    });
    finish_as(from_);
  }

  void go_on() {
    if (from_ == queued && to_ == starting) return shop.tick(1);
    if (from_ == queued && to_ == skipped) return skip();
    if (core::is_terminal(from_)) {
      hold();
      CHECK_FALSE(shop.act(RunVerb::rerun, id));
      return;
    }
    if (from_ == paused && to_ == queued) {
      hold();
      CHECK_FALSE(shop.act(RunVerb::resume, id));
      return;
    }
    if (to_ == paused && from_ == queued) {
      CHECK_FALSE(shop.act(RunVerb::pause, id));
      return;
    }
    if (to_ == cancelled && !core::is_live(from_)) {
      CHECK_FALSE(shop.act(RunVerb::cancel, id));
      return;
    }
    if (to_ == running) {
      shop.starts(id);
      return shop.tick(1);
    }
    if (to_ == stopping) return ask_to_stop();
    finish_as(to_);
  }

  test::Workshop shop;
  std::int64_t id = 0;

 private:
  void hold() { shop.set_mode(server::QueueMode::Kind::held); }
  void release() { shop.set_mode(server::QueueMode::Kind::open); }
  void skip() {
    shop.tick(1);
    shop.starts(dense_);
    shop.leaves(dense_, "failed", 1, "data");
    shop.tick(2);
  }
  // What the run is asked, so that it can end in the state that is wanted.
  void ask_to_stop() {
    db::StopIntent intent = db::StopIntent::shutdown;
    if (to_ == paused) intent = db::StopIntent::pause;
    if (to_ == cancelled) intent = db::StopIntent::cancel;
    if (to_ == timed_out) intent = db::StopIntent::timeout;
    if (to_ == pruned) intent = db::StopIntent::prune;
    if (to_ == lost || to_ == failed) intent = db::StopIntent::hang;
    shop.home.database.write([&](db::Connection& c) { db::RunStore(c).request_stop(id, intent, "", shop.home.clock.now()); });
  }
  void leave(const std::string& status, int code, const std::string& reason = "") {
    shop.leaves(id, status, code, reason);
    shop.tick(2);
  }
  void finish_as(RunState end) {
    if (end == completed) return leave("completed", core::kExitDone);
    if (end == pruned) return leave("pruned", core::kExitDone, "collapse");
    if (end == failed) return leave("failed", core::kExitUsage, "data");
    if (end == out_of_memory) return leave("failed", core::kExitRunFailed, "out_of_memory");
    if (end == queued) hold();
    if (end == timed_out && shop.state(id) != stopping) {
      shop.home.clock.advance(std::chrono::seconds(60));
      shop.tick(1);
    }
    if (end == lost) {
      // Nobody saw it end: it died while no daemon was there.
      shop.dies(id);
      shop.restart();
      return shop.tick(2);
    }
    leave("preempted", core::kExitPreempted);
  }

  RunState from_, to_;
  std::int64_t dense_ = 0;
};

}  // namespace

TEST_CASE("every row of the state table, with a restart of the daemon before it") {
  const auto level = spdlog::get_level();
  spdlog::set_level(spdlog::level::off);
  int rows = 0;
  for (const RunState from : core::all_run_states()) {
    for (const RunState to : core::next_states(from)) {
      CAPTURE(core::to_string(from));
      CAPTURE(core::to_string(to));
      Case c(from, to);
      c.reach_from();
      REQUIRE(core::to_string(c.shop.state(c.id)) == core::to_string(from));
      const int attempt = c.shop.home.run(c.id).attempt;
      c.shop.restart();
      if (from != queued || to != starting) {
        c.shop.tick(1);
        CHECK_MESSAGE(core::to_string(c.shop.state(c.id)) == core::to_string(from), "a restart alone changes nothing");
      }
      c.go_on();
      CHECK(core::to_string(c.shop.state(c.id)) == core::to_string(to));
      CHECK(c.shop.home.run(c.id).attempt == attempt + (to == starting ? 1 : 0));
      for (const db::RunEventRow& e : c.shop.home.database.read([&](db::Connection& db) { return db::RunStore(db).events(c.id); })) {
        if (!e.from.empty()) CHECK(core::is_legal(core::run_state_from(e.from), core::run_state_from(e.to)));
      }
      ++rows;
    }
  }
  spdlog::set_level(level);
  CHECK(rows >= 35);
}

TEST_CASE("a daemon that dies between two steps of a launch leaves nothing behind") {
  test::Workshop shop;
  const std::int64_t id = shop.home.add_run("a");
  SUBCASE("before the worker was spawned") {
    shop.home.database.write([&](db::Connection& c) { db::RunStore(c).begin_attempt(id, {"cpu0"}, shop.home.clock.now()); });
  }
  SUBCASE("before it was let go") {
    shop.home.database.write([&](db::Connection& c) { db::RunStore(c).begin_attempt(id, {"cpu0"}, shop.home.clock.now()); });
    server::LaunchRequest request;
    request.run_id = id;
    request.run_dir = shop.home.paths.run(id);
    const db::ProcessIdentity process = shop.launcher.spawn(request);
    shop.home.database.write([&](db::Connection& c) { db::RunStore(c).set_process(id, process); });
  }
  shop.restart();
  shop.tick(2);
  CHECK(shop.home.run(id).attempt == 2);
  CHECK(shop.home.run(id).restarts == 0);
  int alive = 0;
  for (const auto& [pid, worker] : shop.launcher.workers) alive += worker.alive;
  CHECK(alive == 1);
}

TEST_CASE("a machine that was started again queues what ran, without counting it as a crash") {
  test::Workshop shop;
  const std::int64_t id = shop.running_run("a", {.gpus = 0, .max_restarts = 0});
  shop.reboot();
  shop.set_mode(server::QueueMode::Kind::held);
  shop.tick(2);
  CHECK(shop.state(id) == queued);
  CHECK(shop.home.run(id).reason == "the machine was started again");
  CHECK(shop.home.run(id).restarts == 0);
}
