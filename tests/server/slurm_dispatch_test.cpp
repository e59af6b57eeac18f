// What the dispatcher does otherwise for a worker that is a Slurm job: it may wait before it begins, be cancelled by a stranger, and stays
// when the daemon stops.
#include <doctest/doctest.h>

#include "server/slurm/slurm_job.h"
#include "tests/server/workshop.h"

using namespace moelab;
using namespace std::chrono_literals;
using core::RunState;
using server::RunVerb;

namespace {

struct Cluster : test::Workshop {
  explicit Cluster(bool leave_jobs = false) : Workshop({.grace = 5s, .leave_slurm_jobs = leave_jobs}) {
    launcher.boot = std::string(server::kSlurmBootId) + "lab";
  }
  std::int64_t starting_run(db::Resources resources) {
    const std::int64_t id = home.add_run("waiting", resources);
    home.bus.run_changed(id);
    tick(1);
    REQUIRE(state(id) == RunState::starting);
    return id;
  }
  void is_cancelled_by_a_stranger(std::int64_t id) {
    worker(id).exit.cancelled = true;
    worker(id).exit.note = "Slurm job 1 was cancelled by somebody else";
    worker(id).alive = false;
  }
};

}  // namespace

TEST_CASE("a stranger's scancel stands, whether the job has begun or not; our own is what we asked for") {
  Cluster shop;
  const std::int64_t id = shop.running_run("a");
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.is_cancelled_by_a_stranger(id);
  shop.tick(1);
  CHECK(shop.state(id) == RunState::cancelled);
  CHECK(shop.home.run(id).reason == "Slurm job 1 was cancelled by somebody else");

  const std::int64_t waiting = shop.starting_run({.gpus = 0, .max_restarts = 3});
  shop.is_cancelled_by_a_stranger(waiting);
  shop.tick(1);
  CHECK(shop.state(waiting) == RunState::cancelled);

  const std::int64_t paused = shop.running_run("b");
  CHECK_FALSE(shop.act(RunVerb::pause, paused));
  shop.is_cancelled_by_a_stranger(paused);
  shop.tick(1);
  CHECK(shop.state(paused) == RunState::paused);

  const std::int64_t done = shop.running_run("c");
  shop.leaves(done, "completed", core::kExitDone);
  shop.is_cancelled_by_a_stranger(done);
  shop.tick(1);
  CHECK(shop.state(done) == RunState::completed);
}

TEST_CASE("time in Slurm's queue has a reason, and is neither running time nor a hang") {
  Cluster shop;
  shop.launcher.waiting = "Slurm job 1 waits: Resources";
  const std::int64_t id = shop.starting_run({.gpus = 0, .timeout_s = 60, .max_restarts = 3, .hang_timeout_s = 60});
  shop.tick(1);
  shop.home.clock.advance(2h);
  shop.tick(2);
  CHECK(shop.state(id) == RunState::starting);
  CHECK(shop.reasons.of(id) == "Slurm job 1 waits: Resources");
  shop.launcher.waiting.clear();
  shop.starts(id);
  shop.tick(1);
  CHECK(shop.state(id) == RunState::running);
  CHECK(shop.reasons.of(id).empty());
  shop.home.clock.advance(40s);
  shop.worker(id).journal->loss(1, 2.0);
  shop.tick(1);
  CHECK_FALSE(shop.worker(id).terminated);
  shop.home.clock.advance(25s);
  shop.tick(1);
  CHECK(shop.worker(id).terminated);
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.tick(1);
  CHECK(shop.state(id) == RunState::timed_out);
  CHECK(shop.home.run(id).runtime_ms < 120'000);
}

TEST_CASE("a job that is cancelled while it waits has not run") {
  Cluster shop;
  shop.launcher.waiting = "Slurm job 1 waits: Resources";
  const std::int64_t id = shop.starting_run({.gpus = 0, .max_restarts = 3});
  shop.home.clock.advance(2h);
  shop.is_cancelled_by_a_stranger(id);
  shop.tick(1);
  CHECK(shop.state(id) == RunState::cancelled);
  CHECK(shop.home.run(id).runtime_ms == 0);
  CHECK(shop.reasons.of(id).empty());
}

TEST_CASE("what remains of the time limit goes to the launcher") {
  Cluster shop;
  const std::int64_t id = shop.running_run("a", {.gpus = 0, .timeout_s = 600, .max_restarts = 3});
  CHECK(shop.worker(id).request.time_left == 600s);
  shop.home.clock.advance(100s);
  shop.worker(id).journal->loss(105, 2.0);  // at 105 s: the last sign of life
  shop.home.clock.advance(2h);              // nobody looked
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.tick(2);
  CHECK(*shop.worker(id).request.time_left <= 500s);
  CHECK(*shop.worker(id).request.time_left > 490s);
}

TEST_CASE("a place that cannot take a worker now costs no restart; one that never will ends the run at once") {
  Cluster shop;
  shop.launcher.refuses = "Slurm does not answer";
  shop.launcher.refusal = core::ErrorKind::unreachable;
  const std::int64_t id = shop.home.add_run("a", {.gpus = 0, .max_restarts = 0});
  shop.home.bus.run_changed(id);
  shop.tick(1);
  CHECK(shop.state(id) == RunState::queued);
  CHECK(shop.home.run(id).restarts == 0);
  shop.launcher.refuses.clear();
  shop.home.clock.advance(10s);
  shop.tick(1);
  CHECK(shop.state(id) == RunState::starting);

  shop.launcher.refuses = "sbatch: error: invalid partition specified: nope";
  shop.launcher.refusal = core::ErrorKind::config;
  const std::int64_t never = shop.home.add_run("b", {.gpus = 0, .max_restarts = 3});
  shop.home.bus.run_changed(never);
  shop.tick(1);
  CHECK(shop.state(never) == RunState::failed);
  CHECK(shop.home.run(never).reason == "sbatch: error: invalid partition specified: nope");
}

TEST_CASE("a daemon that stops leaves jobs alone where it is told to, and the next one has them") {
  for (const bool leave_jobs : {true, false}) {
    Cluster shop(leave_jobs);
    const std::int64_t id = shop.running_run("a");
    shop.dispatcher->begin_shutdown();
    shop.tick(1);
    CHECK(shop.dispatcher->has_live_runs() == !leave_jobs);
    CHECK(shop.worker(id).terminated == !leave_jobs);
    if (!leave_jobs) continue;
    shop.restart();
    shop.tick(1);
    CHECK(shop.state(id) == RunState::running);
    CHECK(shop.home.run(id).attempt == 1);
  }
}
