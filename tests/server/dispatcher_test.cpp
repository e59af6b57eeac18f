// What the dispatcher does about each kind of trouble and each wish, step by step.
#include "server/dispatcher.h"

#include <doctest/doctest.h>

#include "server/situation.h"
#include "tests/server/workshop.h"

using namespace moelab;
using namespace std::chrono_literals;
using core::RunState;
using server::RunVerb;

namespace {

nlohmann::json run_json(test::Workshop& shop, std::int64_t id) {
  return nlohmann::json::parse(test::read_text(shop.home.paths.spec(id)));
}

}  // namespace

TEST_CASE("pause gives the device back with a checkpoint, resume queues the run again") {
  test::Workshop shop;
  const std::int64_t id = shop.running_run("a");
  CHECK_FALSE(shop.act(RunVerb::pause, id));
  shop.tick(1);
  CHECK(shop.worker(id).terminated);
  CHECK_FALSE(shop.worker(id).killed);
  CHECK(shop.act(RunVerb::resume, id));  // it has not left yet
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.tick();
  CHECK(shop.state(id) == RunState::paused);
  CHECK(shop.home.run(id).device.empty());
  CHECK_FALSE(shop.act(RunVerb::resume, id));
  shop.tick(1);
  CHECK(shop.state(id) == RunState::starting);
  CHECK(shop.home.run(id).attempt == 2);
}

TEST_CASE("kill does not wait for a checkpoint, cancel does until the grace is over") {
  test::Workshop shop;
  const std::int64_t killed = shop.running_run("a"), cancelled = shop.running_run("b");
  CHECK_FALSE(shop.act(RunVerb::kill, killed));
  CHECK_FALSE(shop.act(RunVerb::cancel, cancelled));
  shop.tick(1);
  CHECK(shop.worker(killed).killed);
  CHECK_FALSE(shop.worker(cancelled).killed);
  shop.tick(1);
  CHECK(shop.state(killed) == RunState::cancelled);
  CHECK(shop.home.run(killed).reason == "killed");
  CHECK(shop.state(cancelled) == RunState::stopping);
  CHECK(shop.act(RunVerb::pause, cancelled));  // less than what is under way
  shop.tick(5);
  CHECK(shop.worker(cancelled).killed);
  shop.tick(1);
  CHECK(shop.state(cancelled) == RunState::cancelled);
}

TEST_CASE("on hold nothing is started and what runs goes on; drained, it goes back to the queue") {
  test::Workshop shop;
  const std::int64_t running = shop.running_run("a");
  shop.set_mode(server::QueueMode::Kind::held);
  const std::int64_t waiting = shop.home.add_run("b");
  shop.home.bus.run_changed(waiting);
  shop.tick();
  CHECK(shop.state(running) == RunState::running);
  CHECK(shop.state(waiting) == RunState::queued);
  CHECK(shop.reasons.of(waiting) == "waits: the queue is on hold; `moelab release` opens it");
  shop.set_mode(server::QueueMode::Kind::drained);
  shop.restart();  // the mode is remembered
  shop.tick(1);
  CHECK(shop.worker(running).terminated);
  shop.leaves(running, "preempted", core::kExitPreempted);
  shop.tick();
  CHECK(shop.state(running) == RunState::queued);
  CHECK(shop.home.run(running).restarts == 0);
  shop.set_mode(server::QueueMode::Kind::open);
  shop.tick(1);
  CHECK(shop.state(running) == RunState::starting);
  CHECK(shop.state(waiting) == RunState::starting);
}

TEST_CASE("a worker that makes no progress is killed and started again; one that works is left alone") {
  test::Workshop shop;
  const std::int64_t id = shop.running_run("a", {.gpus = 0, .max_restarts = 1, .hang_timeout_s = 600});
  shop.home.clock.jump(24h);  // a clock that is set is no lack of progress
  shop.tick(1);
  CHECK(shop.state(id) == RunState::running);
  SUBCASE("a journal that grows is progress") {
    shop.home.clock.advance(590s);
    shop.worker(id).journal->loss(1, 2.0);
    shop.tick(1);
    shop.home.clock.advance(590s);
    shop.tick(1);
    CHECK(shop.state(id) == RunState::running);
  }
  SUBCASE("a heartbeat is progress") {
    shop.home.clock.advance(590s);
    test::write_text(shop.home.paths.heartbeat(id), "");
    shop.tick(1);
    shop.home.clock.advance(590s);
    shop.tick(1);
    CHECK(shop.state(id) == RunState::running);
  }
  SUBCASE("silence is not") {
    shop.home.clock.advance(601s);
    shop.tick(2);
    CHECK(shop.worker(id).killed);
    CHECK(shop.state(id) == RunState::queued);
    CHECK(shop.home.run(id).restarts == 1);
    CHECK(shop.home.run(id).reason.find("no progress for 600 s") != std::string::npos);
  }
}

TEST_CASE("a clock that is set moves deadlines along: no run times out, no back-off is cut short, no grace is lost") {
  test::Workshop shop;
  const std::int64_t timed = shop.running_run("a", {.gpus = 0, .timeout_s = 3600});
  const std::int64_t crashed = shop.running_run("b");
  shop.dies(crashed);
  shop.set_mode(server::QueueMode::Kind::held);
  shop.tick(1);
  const core::TimePoint not_before = *shop.home.run(crashed).not_before;
  for (const auto jump : {2h, -5h}) {
    shop.home.clock.jump(jump);
    shop.tick(1);
    CHECK(shop.state(timed) == RunState::running);
  }
  CHECK(*shop.home.run(crashed).not_before == not_before - 3h);
  shop.home.clock.advance(3600s);
  shop.tick(2);
  CHECK(shop.state(timed) == RunState::stopping);
}

TEST_CASE("out of memory: smaller micro-batches where the file allows it, as far as they can be halved") {
  test::Workshop shop;
  const auto out_of_memory = [&](std::int64_t id) {
    shop.leaves(id, "failed", core::kExitRunFailed, "out_of_memory");
    shop.tick(2);
  };
  const std::int64_t strict = shop.running_run("a");
  out_of_memory(strict);
  CHECK(shop.state(strict) == RunState::out_of_memory);

  const std::int64_t id = shop.running_run("b", {.gpus = 0, .max_restarts = 0, .halve_on_oom = true});
  shop.home.database.write([&](db::Connection& c) {  // 4 sequences a step: two halvings
    db::RunStore runs(c);
    nlohmann::json spec = runs.spec(id);
    spec["config"]["train"] = {{"batch_size", 4}};
    runs.update_spec(id, spec, runs.get(id).resources);
  });
  for (const std::int64_t divisor : {2, 4}) {
    out_of_memory(id);
    CHECK(shop.state(id) == RunState::starting);
    CHECK(shop.home.run(id).micro_batch_divisor == divisor);
    CHECK(run_json(shop, id).at("micro_batch_divisor") == divisor);
    CHECK(run_json(shop, id).at("config").at("train").at("batch_size") == 4);
    CHECK(shop.home.run(id).restarts == 0);
  }
  out_of_memory(id);
  CHECK(shop.state(id) == RunState::out_of_memory);
  CHECK_FALSE(shop.act(RunVerb::rerun, id));
  shop.tick(1);
  CHECK(run_json(shop, id).at("micro_batch_divisor") == 1);  // from the start means as the file says
}

TEST_CASE("a launch that cannot be made is tried again with a back-off, and its reason is shown") {
  test::Workshop shop;
  shop.launcher.refuses = "no more processes";
  const std::int64_t id = shop.home.add_run("a", {.gpus = 0, .max_restarts = 1});
  shop.tick(1);
  CHECK(shop.state(id) == RunState::queued);
  CHECK(shop.home.run(id).reason == "no more processes");
  shop.tick(2);
  CHECK(shop.state(id) == RunState::failed);
}

TEST_CASE("a run whose stored configuration this version refuses fails with the reason instead of waiting for ever") {
  test::Workshop shop;
  const std::int64_t id = shop.home.add_run("a");
  shop.home.database.write([&](db::Connection& c) {
    db::RunStore runs(c);
    nlohmann::json spec = runs.spec(id);
    spec["config"]["train"] = {{"lr", 1e32}};
    runs.update_spec(id, spec, runs.get(id).resources);
  });
  shop.tick(1);
  CHECK(shop.state(id) == RunState::failed);
  CHECK(shop.home.run(id).reason.find("train.lr") != std::string::npos);
}

TEST_CASE("a run directory that cannot be made does not lose the run: it is tried again until it can") {
  test::Workshop shop;
  const std::int64_t id = shop.home.add_run("a");
  std::filesystem::remove_all(shop.home.paths.run(id));
  test::write_text(shop.home.paths.run(id), "a file in the way");
  shop.tick();
  CHECK(shop.state(id) == RunState::queued);
  std::filesystem::remove(shop.home.paths.run(id));
  shop.tick(2);
  CHECK(shop.state(id) == RunState::starting);
}

TEST_CASE("max_concurrent of the server, and a run that waits for two others") {
  test::Workshop shop({5s, 1s, 1, false});
  const std::int64_t first = shop.running_run("a"), second = shop.home.add_run("b");
  const std::int64_t last = shop.home.add_run("c");
  shop.home.database.write([&](db::Connection& c) { db::RunStore(c).set_dependencies(last, {"key-a", "key-b"}); });
  shop.home.bus.run_changed(last);
  shop.tick(1);
  CHECK(shop.reasons.of(second) == "waits: this server runs 1 at once");
  CHECK(shop.reasons.of(last) == "waits for run 1 (a), which is running and run 2 (b), which is queued");
  shop.leaves(first, "completed", 0);
  shop.tick(2);
  CHECK(shop.state(second) == RunState::starting);
  shop.starts(second);
  shop.leaves(second, "failed", 2, "data");
  shop.tick(2);
  CHECK(shop.state(last) == RunState::skipped);
  CHECK(shop.home.run(last).reason == "it depends on run 2 (b), which is failed; retry that, then this");
}

TEST_CASE("a run whose parent is not here is skipped, and what its reason says to do lets it go on") {
  test::Workshop shop;
  const std::int64_t orphan = shop.home.add_run("child", {.gpus = 0}, 0, "key-parent");
  shop.home.bus.run_changed(orphan);
  shop.tick(2);
  CHECK(shop.state(orphan) == RunState::skipped);
  CHECK(shop.home.run(orphan).reason == "it depends on a run that is not here; submit the file again, then retry this");
  const std::int64_t parent = shop.home.add_run("parent");
  CHECK_FALSE(shop.act(server::RunVerb::retry, orphan));
  shop.tick(1);
  shop.starts(parent);
  shop.leaves(parent, "completed", 0);
  shop.tick(2);
  CHECK(shop.state(orphan) == RunState::starting);
}

TEST_CASE("hours in which the machine was down are no running time") {
  test::Workshop shop;
  const std::int64_t id = shop.running_run("a", {.gpus = 0, .timeout_s = 3600, .max_restarts = 3});
  shop.tick(10);
  shop.worker(id).journal->loss(8, 5.0);  // at 8 s
  shop.tick(1);
  shop.home.clock.advance(10h);
  shop.reboot();
  shop.tick(1);
  CHECK(shop.state(id) == RunState::starting);
  CHECK(shop.home.run(id).runtime_ms == 8000);
}

TEST_CASE("a person's retry has the whole time limit again") {
  test::Workshop shop;
  const std::int64_t id = shop.running_run("a", {.gpus = 0, .timeout_s = 60, .max_restarts = 3});
  shop.worker(id).journal->loss(1, 5.0);
  shop.home.clock.advance(60s);
  shop.tick(1);
  REQUIRE(shop.worker(id).terminated);
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.tick(1);
  REQUIRE(shop.state(id) == RunState::timed_out);
  CHECK_FALSE(shop.act(RunVerb::retry, id));
  shop.tick(1);
  CHECK(shop.worker(id).request.time_left == 60s);
  shop.starts(id);
  shop.home.clock.advance(50s);
  shop.tick(2);
  CHECK(shop.state(id) == RunState::running);
  CHECK_FALSE(shop.worker(id).terminated);
  CHECK(shop.home.run(id).runtime_ms > 59'000);  // what it took is not forgotten
}

TEST_CASE("the grace begins when the worker was reached") {
  test::Workshop shop;
  const std::int64_t id = shop.running_run("a");
  CHECK_FALSE(shop.act(RunVerb::pause, id));
  shop.launcher.reachable = false;
  shop.tick(20);
  CHECK_FALSE(shop.worker(id).killed);
  shop.launcher.reachable = true;
  shop.tick(4);
  CHECK(shop.worker(id).terminated);
  CHECK_FALSE(shop.worker(id).killed);
  shop.tick(3);
  CHECK(shop.worker(id).killed);
}

TEST_CASE("what a person asks while a worker cannot be started stands") {
  for (const auto& [verb, to] : {std::pair(RunVerb::cancel, RunState::cancelled), std::pair(RunVerb::pause, RunState::paused)}) {
    test::Workshop shop;
    const std::int64_t id = shop.home.add_run("a");
    shop.home.bus.run_changed(id);
    shop.launcher.refuses = "no more processes";
    shop.launcher.before_refusing = [&shop, id = id, verb = verb] { CHECK_FALSE(shop.act(verb, id)); };
    shop.tick(1);
    CHECK(shop.state(id) == to);
    shop.launcher.refuses.clear();
    shop.tick(20);
    CHECK(shop.state(id) == to);
  }
}

TEST_CASE("a run that is taken away before its first step again and again ends") {
  test::Workshop shop;
  const std::int64_t id = shop.running_run("a", {.gpus = 0, .max_restarts = 1});
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.tick(1);
  CHECK(shop.home.run(id).restarts == 1);
  shop.tick(2);
  shop.starts(id);
  shop.worker(id).journal->loss(1, 5.0);
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.tick(1);
  CHECK(shop.home.run(id).restarts == 1);  // it came further
  REQUIRE(shop.state(id) == RunState::starting);
  shop.starts(id);
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.tick(1);
  CHECK(shop.state(id) == RunState::failed);
  CHECK(shop.home.run(id).reason == "somebody stopped the worker, before its first step; restarts are used up");
}

TEST_CASE("a run that leaves the choice open goes on on the kind of device where it began, until it is run again") {
  test::Workshop shop;
  const std::int64_t id = shop.running_run("a", {.max_restarts = 3});
  CHECK(shop.home.run(id).on_gpu == false);
  shop.worker(id).journal->loss(1, 5.0);
  const auto kind = [&] {
    return shop.home.database.read([&](db::Connection& c) { return server::gather_situation(c, {}, true, {}).queue.at(0).kind; });
  };
  shop.leaves(id, "preempted", core::kExitPreempted);
  shop.set_mode(server::QueueMode::Kind::held);
  shop.tick(1);
  REQUIRE(shop.state(id) == RunState::queued);
  CHECK(kind() == server::DeviceKind::cpu);  // although there are GPUs now
  CHECK_FALSE(shop.act(RunVerb::cancel, id));
  CHECK_FALSE(shop.act(RunVerb::rerun, id));
  CHECK(kind() == server::DeviceKind::gpu);
}
