// When a device is kept out of use, for how long, and that it is remembered.
#include "server/devices/device_health.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "server/devices/device_monitor.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using namespace std::chrono_literals;
using core::RunState;
using server::DeviceVerdict;

namespace {

const core::TimePoint kNow = test::at_s(0);

db::DeviceRow fail(db::DeviceRow row, std::initializer_list<db::RunId> runs) {
  for (const db::RunId run : runs) row = server::after_failure(row, run, kNow);
  return row;
}

db::AttemptEnd end_in(RunState to, bool restart = false) {
  db::AttemptEnd end;
  end.to = to;
  end.counts_as_restart = restart;
  return end;
}

struct OneGpu final : server::DeviceInventory {
  OneGpu() {
    gpu.id = "gpu0";
    gpu.kind = server::DeviceKind::gpu;
    gpu.uuid = "GPU-aaaa";
    gpu.memory_total_mb = 24 * 1024;
    slot.id = "cpu0";
  }
  std::string name() const override { return "nvml"; }
  std::string note() const override { return ""; }
  std::vector<server::Device> list() override { return {gpu, slot}; }
  server::Device gpu, slot;
};

struct Watched {
  Watched() {
    server::GpuRules rules;
    rules.hold_down = 0ms;
    monitor.emplace(inventory, home.clock, rules, &health);
    refresh();
  }
  void refresh() { monitor->refresh({}); }
  std::string state(std::size_t device = 0) { return to_string(monitor->standings()[device].state); }
  std::string why(std::size_t device = 0) { return monitor->standings()[device].why; }
  test::EngineHome home;
  OneGpu inventory;
  server::DeviceHealth health{home.database, home.clock};
  std::optional<server::DeviceMonitor> monitor;
};

}  // namespace

TEST_CASE("three failures in a row of two runs or more are a quarantine; one run alone is no proof") {
  CHECK_FALSE(fail({}, {1, 2}).quarantined_until);
  CHECK(fail({}, {1, 2}).failures == 2);
  CHECK_FALSE(fail({}, {1, 1, 1, 1, 1}).quarantined_until);
  CHECK(fail({}, {1, 1, 1, 2}).quarantined_until == kNow + 30min);
  const db::DeviceRow row = fail({}, {1, 2, 1});
  CHECK(row.quarantined_until == kNow + 30min);
  CHECK(row.quarantine_reason == "the last 3 attempts on it failed (runs 1 and 2)");
  CHECK(row.failures == 0);
  CHECK(fail(row, {3, 3, 3}).quarantines == 1);  // runs from before it are no second witnesses
  CHECK(fail({}, {1, 2, 3}).quarantine_reason == "the last 3 attempts on it failed (runs 1, 2 and 3)");
}

TEST_CASE("a completed run between them clears the count") {
  CHECK_FALSE(fail(server::after_success(fail({}, {1, 2})), {3, 4}).quarantined_until);
  CHECK_FALSE(fail(server::after_success(fail({}, {1, 2})), {3, 3, 3}).quarantined_until);
}

TEST_CASE("each quarantine lasts twice as long as the one before, up to a day; a completed run starts over") {
  db::DeviceRow row;
  for (const auto expected : {30min, 60min, 120min, 240min, 480min, 960min, 1440min, 1440min}) {
    row = fail(row, {1, 2, 3});
    CHECK(row.quarantined_until == kNow + expected);
  }
  for (int i = 0; i < 100; ++i) row = fail(row, {1, 2, 3});
  CHECK(row.quarantined_until == kNow + 24h);
  CHECK(fail(server::after_success(row), {1, 2, 3}).quarantined_until == kNow + 30min);
}

TEST_CASE("which ends of an attempt speak against the device") {
  const auto verdict = [](const db::AttemptEnd& end, const server::Exit& exit = {}, const std::optional<db::FinalWord>& word = {},
                          std::optional<db::StopIntent> intent = {}) {
    db::RunRow run;
    run.stop_intent = intent;
    return server::verdict_on_device(run, exit, word, end);
  };
  server::Exit killed, usage, storage, failed;
  killed.signal = 11;
  usage.code = core::kExitUsage;
  storage.code = core::kExitStorage;
  failed.code = core::kExitRunFailed;
  const auto word = [](const std::string& message) { return db::FinalWord{"failed", "", message}; };

  CHECK(verdict(end_in(RunState::completed)) == DeviceVerdict::good);
  CHECK(verdict(end_in(RunState::pruned)) == DeviceVerdict::good);
  CHECK(verdict(end_in(RunState::queued, true), killed) == DeviceVerdict::bad);
  CHECK(verdict(end_in(RunState::failed), killed) == DeviceVerdict::bad);
  CHECK(verdict(end_in(RunState::lost)) == DeviceVerdict::bad);
  CHECK(verdict(end_in(RunState::failed), killed, std::nullopt, db::StopIntent::hang) == DeviceVerdict::bad);
  CHECK(verdict(end_in(RunState::failed), failed, word("CUDA error: an illegal memory access was encountered")) == DeviceVerdict::bad);

  CHECK(verdict(end_in(RunState::failed), failed, word("tokens.bin is damaged")) == DeviceVerdict::neutral);
  CHECK(verdict(end_in(RunState::failed), usage) == DeviceVerdict::neutral);
  CHECK(verdict(end_in(RunState::failed), storage) == DeviceVerdict::neutral);
  CHECK(verdict(end_in(RunState::failed), killed, std::nullopt, db::StopIntent::misplaced) == DeviceVerdict::neutral);
  CHECK(verdict(end_in(RunState::out_of_memory), failed, word("CUDA error: out of memory")) == DeviceVerdict::neutral);
  CHECK(verdict(end_in(RunState::cancelled), killed, std::nullopt, db::StopIntent::cancel) == DeviceVerdict::neutral);
  CHECK(verdict(end_in(RunState::timed_out)) == DeviceVerdict::neutral);
  CHECK(verdict(end_in(RunState::queued)) == DeviceVerdict::neutral);  // the daemon was stopped, smaller micro-batches, a restart of the machine
}

TEST_CASE("a quarantined GPU says until when and why, and is free again after it") {
  Watched t;
  CHECK(t.state() == "free");
  for (const db::RunId run : {1, 2, 3}) t.monitor->attempt_ended("gpu0", run, DeviceVerdict::bad);
  CHECK(t.state() == "quarantined");
  CHECK(t.why().starts_with("gpu0 is quarantined until "));
  CHECK(t.why().ends_with(": the last 3 attempts on it failed (runs 1, 2 and 3)"));
  t.home.clock.advance(30min - 1s);
  t.refresh();
  CHECK(t.state() == "quarantined");
  t.home.clock.advance(1s);
  t.refresh();
  CHECK(t.state() == "free");
}

TEST_CASE("CPU slots are not judged") {
  Watched t;
  for (const db::RunId run : {1, 2, 3}) t.monitor->attempt_ended("cpu0", run, DeviceVerdict::bad);
  CHECK(t.state(1) == "free");
}

TEST_CASE("a person disables and enables a device, GPU or CPU slot, and that holds at once") {
  Watched t;
  CHECK(t.monitor->disable("gpu0", "").state == "disabled");
  CHECK(t.why() == "gpu0 is disabled by hand");
  CHECK(t.monitor->disable("cpu0", "kept for the demo").note == "cpu0 is disabled by hand: kept for the demo");
  CHECK(t.state(0) + " " + t.state(1) == "disabled disabled");
  CHECK(t.monitor->enable("gpu0").state == "free");
  CHECK(t.monitor->enable("cpu0").state == "free");
  CHECK(test::kind_of_error([&] { t.monitor->enable("gpu7"); }) == core::ErrorKind::not_found);
}

TEST_CASE("enabling lifts a quarantine and forgets the failures") {
  Watched t;
  t.monitor->quarantine("gpu0", "the memory of run 7 was not given back");
  CHECK(t.why().ends_with(": the memory of run 7 was not given back"));
  CHECK(t.monitor->enable("gpu0").state == "free");
  t.monitor->attempt_ended("gpu0", 1, DeviceVerdict::bad);
  t.monitor->attempt_ended("gpu0", 2, DeviceVerdict::bad);
  t.monitor->enable("gpu0");
  t.monitor->attempt_ended("gpu0", 3, DeviceVerdict::bad);
  CHECK(t.state() == "free");
}

TEST_CASE("health is remembered by UUID, for the next daemon and under another number") {
  Watched t;
  t.monitor->disable("gpu0", "");
  t.inventory.gpu.id = "gpu1";
  server::DeviceMonitor next(t.inventory, t.home.clock, {}, &t.health);
  next.refresh({});
  CHECK(next.standings()[0].why == "gpu1 is disabled by hand");
}

TEST_CASE("a leased device that is disabled lets its run go on, and takes no further one") {
  Watched t;
  const server::Lease lease{"gpu0", 7, "r7", t.home.clock.now(), 50};
  t.monitor->refresh({lease});
  CHECK(t.monitor->disable("gpu0", "").state == "leased");
  CHECK(t.monitor->view().devices[0].note == "gpu0 is disabled by hand");
  CHECK(t.monitor->standings()[0].why_not_shared == "gpu0 is disabled by hand");
}
