// What the scheduler is told: which devices may be forced or shared, who holds them, and what keeps everybody waiting.
#include "server/situation.h"

#include <doctest/doctest.h>

#include "server/queue_mode.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using server::DeviceKind;
using server::DeviceState;

namespace {

server::DeviceStanding gpu(DeviceState state) {
  server::DeviceStanding standing;
  standing.id = "gpu0";
  standing.kind = DeviceKind::gpu;
  standing.state = state;
  standing.memory_total_mb = 24 * 1024;
  if (state != DeviceState::free) standing.why = "gpu0 is " + to_string(state);
  return standing;
}

struct Gathered : test::EngineHome {
  server::Situation gather(const server::DeviceStanding& device, const server::SituationRules& rules = {}) {
    return database.read([&](db::Connection& c) { return server::gather_situation(c, {device}, true, rules); });
  }
  // Who gets the device now: "2", or "" for nobody.
  std::string launched(const server::DeviceStanding& device) {
    std::string text;
    for (const server::Launch& launch : server::decide(gather(device), clock.now()).launches) text += std::to_string(launch.run);
    return text;
  }
  void force(std::int64_t run, const std::string& device) {
    database.write([&](db::Connection& c) { db::RunStore(c).force(run, device, clock.now()); });
  }
  void lease(std::int64_t run, bool shared) {
    database.write([&](db::Connection& c) { db::RunStore(c).begin_attempt(run, {"gpu0", shared}, clock.now()); });
  }
};

}  // namespace

TEST_CASE("force is offered on a busy device, never on one that is leased or out of use, and on the one that was named") {
  Gathered t;
  const std::int64_t run = t.add_run("a", {.gpus = 1});
  CHECK(t.launched(gpu(DeviceState::busy)).empty());
  t.force(run, db::kAnyDevice);
  CHECK(t.launched(gpu(DeviceState::busy)) == "1");
  for (const DeviceState state : {DeviceState::leased, DeviceState::quarantined, DeviceState::disabled, DeviceState::faulty}) {
    CHECK_MESSAGE(t.launched(gpu(state)).empty(), to_string(state));
  }
  t.force(run, "gpu1");
  CHECK(t.launched(gpu(DeviceState::free)).empty());
  t.force(run, "gpu0");
  CHECK(t.launched(gpu(DeviceState::busy)) == "1");
}

TEST_CASE("a run joins another one on a GPU only if that one shares it, and nobody else is there") {
  Gathered t;
  const db::Resources half{.gpus = 1, .memory_gb = 8, .share_gpu = true};
  const std::int64_t holder = t.add_run("holder", half);
  SUBCASE("it shares") {
    t.lease(holder, true);
    t.add_run("guest", half);
    CHECK(t.launched(gpu(DeviceState::leased)) == "2");
    server::DeviceStanding crowded = gpu(DeviceState::leased);
    crowded.why_not_shared = "gpu0 is used by pid 4711";
    CHECK(t.launched(crowded).empty());
    crowded = gpu(DeviceState::leased);
    crowded.other_memory_mb = 10 * 1024;
    CHECK(t.launched(crowded).empty());
  }
  SUBCASE("it was given the GPU alone") {
    t.lease(holder, false);
    t.add_run("guest", half);
    CHECK(t.launched(gpu(DeviceState::leased)).empty());
  }
}

TEST_CASE("a full disk, and a queue on hold before it, keep every run waiting with the reason") {
  Gathered t;
  t.add_run("a", {.gpus = 1});
  const server::SituationRules full{0, false, "waits for disk space"};
  CHECK(t.gather(gpu(DeviceState::free)).closed.empty());
  CHECK(t.gather(gpu(DeviceState::free), full).closed == "waits for disk space");
  t.database.write([&](db::Connection& c) { server::write_queue_mode(c, {server::QueueMode::Kind::held, "", t.clock.now()}); });
  CHECK(t.gather(gpu(DeviceState::free), full).closed.starts_with("waits: the queue is on hold"));
}
