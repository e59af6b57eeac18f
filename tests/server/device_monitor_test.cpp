// Who may have a GPU, and why not: the monitor's judgement over readings written by hand.
#include "server/devices/device_monitor.h"

#include <doctest/doctest.h>

#include "tests/server/engine_fixture.h"

using namespace moelab;
using namespace std::chrono_literals;

namespace {

struct Readings final : server::DeviceInventory {
  std::string name() const override { return "nvml"; }
  std::string note() const override { return ""; }
  std::vector<server::Device> list() override { return devices; }
  std::vector<server::Device> devices;
};

server::Device make_gpu(int index) {
  server::Device d;
  d.id = "gpu" + std::to_string(index);
  d.kind = server::DeviceKind::gpu;
  d.index = index;
  d.memory_total_mb = 24 * 1024;
  d.memory_used_mb = 300;
  d.utilization_pct = 0;
  return d;
}

server::DeviceProcess process(std::int64_t pid, double memory_mb, std::int64_t session = 0) {
  server::DeviceProcess p{pid, "anna", "python train.py", memory_mb};
  p.session = session;
  return p;
}

struct Watched {
  explicit Watched(int count) {
    for (int i = 0; i < count; ++i) inventory.devices.push_back(make_gpu(i));
  }
  server::Device& gpu(std::size_t index) { return inventory.devices[index]; }
  // "free", "leased", ... of each device.
  std::string states(const std::vector<server::Lease>& leases = {}) {
    monitor.refresh(leases);
    std::string text;
    for (const server::DeviceStanding& d : monitor.standings()) text += (text.empty() ? "" : " ") + to_string(d.state);
    return text;
  }
  std::string why(std::size_t index = 0) { return monitor.standings()[index].why; }
  // Past the hold-down.
  void make_free() {
    states();
    clock.advance(3s);
    states();
    clock.advance(1s);
  }
  server::Lease lease(std::int64_t run, std::int64_t pid, const std::string& device = "gpu0") {
    return {device, run, "r" + std::to_string(run), clock.now(), pid};
  }
  Readings inventory;
  test::ManualClock clock;
  server::DeviceMonitor monitor{inventory, clock};
};

server::Lease gone(server::Lease lease) {
  lease.gone = true;
  return lease;
}

}  // namespace

TEST_CASE("an idle GPU is free only after the hold-down, and one busy reading starts it again") {
  Watched t(1);
  CHECK(t.states() == "busy");
  CHECK(t.why() == "gpu0: idle for 0 of 3 s");
  t.clock.advance(2999ms);
  CHECK(t.states() == "busy");
  CHECK(t.why() == "gpu0: idle for 2 of 3 s");
  t.clock.advance(1ms);
  CHECK(t.states() == "free");
  CHECK(t.why().empty());
  std::string state = "busy", why;
  SUBCASE("a foreign process") {
    t.gpu(0).processes = {process(4711, 500)};
    why = "gpu0 is used by pid 4711 of user anna (python train.py)";
  }
  SUBCASE("several") {
    t.gpu(0).processes = {process(4711, 500), process(4712, 500), process(4713, 500)};
    why = "gpu0 is used by pid 4711 of user anna (python train.py) and 2 more";
  }
  SUBCASE("one that cannot be seen") {
    t.gpu(0).processes = {process(4711, 500)};
    t.gpu(0).processes[0].hidden = true;
    why = "gpu0 is used by pid 4711, which cannot be seen from here (it has ended, or belongs to another container)";
  }
  SUBCASE("memory without a visible process") {
    t.gpu(0).memory_used_mb = 3174;
    why = "gpu0: 3.1 of 24 GiB in use by processes that cannot be seen";
  }
  SUBCASE("memory of a process that draws") {
    t.gpu(0).memory_used_mb = 3174;
    t.gpu(0).processes = {process(900, 2800)};
    t.gpu(0).processes[0].graphics = true;
    why = "gpu0: 3.1 of 24 GiB in use by pid 900 of user anna (python train.py)";
  }
  SUBCASE("utilisation") {
    t.gpu(0).utilization_pct = 11;
    why = "gpu0 computes at 11 % for processes that cannot be seen";
  }
  SUBCASE("a lost GPU") {
    t.gpu(0).fault = "has fallen off the bus";
    state = "faulty";
    why = "gpu0 has fallen off the bus";
  }
  SUBCASE("MIG mode") {
    t.gpu(0).mig = true;
    state = "disabled";
    why = "gpu0 is in MIG mode";
  }
  CHECK(t.states() == state);
  CHECK(t.why() == why);
  CHECK(t.monitor.view().devices[0].note == why);
  CHECK(t.monitor.view().devices[0].state == state);
  t.gpu(0) = make_gpu(0);
  CHECK(t.states() == "busy");
  t.clock.advance(3000ms);
  CHECK(t.states() == "free");
}

TEST_CASE("a desktop that draws with little memory does not hold the GPU") {
  Watched t(1);
  t.gpu(0).processes = {process(900, 120)};
  t.gpu(0).processes[0].graphics = true;
  t.make_free();
  CHECK(t.states() == "free");
}

TEST_CASE("idle is a share of a small GPU's memory, and a gigabyte of a large one's") {
  Watched t(2);
  t.gpu(0).memory_total_mb = 8 * 1024;
  t.gpu(0).memory_used_mb = 409;
  t.gpu(1).memory_total_mb = 80 * 1024;
  t.gpu(1).memory_used_mb = 1024;
  t.make_free();
  CHECK(t.states() == "free free");
  t.gpu(0).memory_used_mb = 410;
  t.gpu(1).memory_used_mb = 1025;
  CHECK(t.states() == "busy busy");
}

TEST_CASE("a leased GPU shows its runs and whose its processes are; its hold-down starts when the lease ends, if somebody else was there") {
  Watched t(2);
  t.make_free();
  t.gpu(1).processes = {process(50, 500, 50), process(51, 100, 50), process(1, 10, 1)};
  CHECK(t.states({t.lease(7, 50, "gpu1")}) == "free leased");
  CHECK(t.why(1) == "gpu1 is used by run 7 (r7)");
  const server::DeviceView device = t.monitor.view().devices[1];
  REQUIRE(device.runs.size() == 1);
  CHECK(device.runs[0].id == 7);
  CHECK(device.runs[0].name == "r7");
  CHECK(device.since == t.clock.now());
  REQUIRE(device.processes.size() == 3);
  CHECK(device.processes[0].own);
  CHECK(device.processes[1].own);  // a child of the worker
  CHECK_FALSE(device.processes[2].own);
  CHECK(device.processes[0].memory_mb == 500.0);
  CHECK(device.note == "gpu1 is used by pid 1 of user anna (python train.py)");  // the one that should not be there
  t.clock.advance(60s);
  t.gpu(1).processes.clear();
  CHECK(t.states() == "free busy");
  t.clock.advance(3s);
  CHECK(t.states() == "free free");
}

TEST_CASE("a GPU that was ours alone and was given back clean is free at once") {
  Watched t(1);
  t.make_free();
  const server::Lease lease = t.lease(7, 50);
  t.gpu(0).processes = {process(50, 5700, 50)};
  t.gpu(0).memory_used_mb = 6000;
  CHECK(t.states({lease}) == "leased");
  t.clock.advance(1s);
  t.gpu(0).processes.clear();
  t.gpu(0).memory_used_mb = 300;
  CHECK(t.states({gone(lease)}) == "leased");
  CHECK(t.states() == "free");
  t.gpu(0).utilization_pct = 90;
  CHECK(t.states() == "busy");
  t.gpu(0).utilization_pct = 0;
  CHECK(t.states() == "busy");  // from now on like any other
}

TEST_CASE("a worker of ours on a GPU that it was not granted is named as such") {
  Watched t(2);
  t.make_free();
  t.gpu(1).processes = {process(50, 500, 50)};
  const server::Lease lease = t.lease(7, 50, "gpu0");
  CHECK(t.states({lease}) == "leased busy");
  CHECK(t.why(1) == "gpu1 is used by run 7 (r7), which was granted gpu0");
  CHECK(t.monitor.placement("gpu0", 50) == server::Seat{server::Placement::wrong, "gpu1"});
}

TEST_CASE("a GPU counts as released when the processes of the run are off it and its memory is back") {
  Watched t(1);
  t.make_free();
  const server::Lease lease = t.lease(7, 50);
  t.states({lease});
  CHECK_FALSE(t.monitor.is_released("gpu0", 7));  // its worker has yet to use it
  t.gpu(0).memory_used_mb = 8300;
  t.gpu(0).processes = {process(50, 8000, 50)};
  t.states({lease});
  CHECK_FALSE(t.monitor.is_released("gpu0", 7));  // it lives
  SUBCASE("all is back") {
    t.gpu(0) = make_gpu(0);
    CHECK_FALSE(t.monitor.is_released("gpu0", 7));  // the reading is older than its end
    t.states({gone(lease)});
    CHECK(t.monitor.is_released("gpu0", 7));
  }
  SUBCASE("a child of it is left") {
    t.gpu(0) = make_gpu(0);
    t.gpu(0).processes = {process(51, 100, 50)};
    t.states({gone(lease)});
    CHECK_FALSE(t.monitor.is_released("gpu0", 7));
  }
  SUBCASE("memory is left that no process explains") {
    t.gpu(0).processes.clear();
    t.states({gone(lease)});
    CHECK_FALSE(t.monitor.is_released("gpu0", 7));
    t.gpu(0).memory_used_mb = 310;
    t.states({gone(lease)});
    CHECK(t.monitor.is_released("gpu0", 7));
  }
  SUBCASE("what somebody else has taken meanwhile is not held against the run") {
    t.gpu(0).processes = {process(4711, 8000)};
    t.states({gone(lease)});
    CHECK(t.monitor.is_released("gpu0", 7));
  }
  SUBCASE("a GPU that has fallen off the bus has nothing to give back") {
    t.gpu(0).fault = "has fallen off the bus";
    t.states({gone(lease)});
    CHECK(t.monitor.is_released("gpu0", 7));
  }
  SUBCASE("so has one that has vanished") {
    t.inventory.devices.clear();
    t.states({gone(lease)});
    CHECK(t.monitor.is_released("gpu0", 7));
  }
}

TEST_CASE("a forced run need only give back what it took") {
  Watched t(1);
  t.make_free();
  t.states({t.lease(6, 40)});  // an earlier run, when nobody else was there: that counts no more
  t.gpu(0).memory_used_mb = 5000;  // somebody's whom nobody sees
  t.states();
  t.clock.advance(1s);
  const server::Lease lease = t.lease(7, 50);
  t.gpu(0).memory_used_mb = 9000;
  t.states({lease});
  t.states({gone(lease)});
  CHECK_FALSE(t.monitor.is_released("gpu0", 7));
  t.gpu(0).memory_used_mb = 5010;
  t.states({gone(lease)});
  CHECK(t.monitor.is_released("gpu0", 7));
}

TEST_CASE("of a run that an earlier daemon started nobody knows what was in use before it: the rule for idle GPUs decides") {
  Watched t(1);
  const server::Lease adopted = t.lease(7, 50);
  t.clock.advance(60s);
  t.gpu(0).memory_used_mb = 9000;
  t.states();  // a daemon reads the devices before it knows its runs
  t.states({adopted});
  SUBCASE("alone") {}
  SUBCASE("nor what was there before the two, when another one joins it") {
    const server::Lease joined = t.lease(8, 60);
    t.states({adopted, joined});
    t.states({adopted, gone(joined)});
  }
  t.states({gone(adopted)});
  CHECK_FALSE(t.monitor.is_released("gpu0", 7));
}

TEST_CASE("when the clock is set forward, what a run of ours uses is not taken for what was there before it") {
  Watched watched(1);
  watched.make_free();
  server::Lease lease = watched.lease(7, 100);
  watched.gpu(0).memory_used_mb = 6000;
  watched.gpu(0).processes = {process(100, 5700)};
  watched.states({lease});
  watched.clock.jump(1h);
  lease.since += 1h;  // as the database has it then
  watched.monitor.shift(1h);
  watched.gpu(0).processes.clear();
  watched.states({gone(lease)});
  CHECK_FALSE(watched.monitor.is_released("gpu0", 7));
  watched.gpu(0).memory_used_mb = 300;
  watched.states({gone(lease)});
  CHECK(watched.monitor.is_released("gpu0", 7));
}

TEST_CASE("a clock that is set shortens no hold-down") {
  Watched watched(1);
  CHECK(watched.states() == "busy");
  watched.clock.jump(1h);
  watched.monitor.shift(1h);
  CHECK(watched.states() == "busy");
  watched.clock.advance(3s);
  CHECK(watched.states() == "free");
}

TEST_CASE("one of several runs on a GPU is released when its processes are off it; the last one answers for the memory") {
  Watched t(1);
  t.make_free();
  const server::Lease a = t.lease(1, 50), b = t.lease(2, 60);
  t.gpu(0).memory_used_mb = 8300;
  t.gpu(0).processes = {process(50, 4000, 50), process(60, 4000, 60)};
  t.states({a, b});
  CHECK(t.monitor.view().devices[0].runs.size() == 2);
  CHECK(t.why() == "gpu0 is used by run 1 (r1) and 1 more");
  t.states({gone(a), b});
  CHECK_FALSE(t.monitor.is_released("gpu0", 1));
  t.gpu(0).processes = {process(60, 4000, 60)};  // 4000 MB of run 1 stay behind
  t.states({gone(a), b});
  CHECK(t.monitor.is_released("gpu0", 1));
  CHECK_FALSE(t.monitor.is_released("gpu0", 2));
  t.gpu(0).processes.clear();
  t.gpu(0).memory_used_mb = 4300;
  t.states({gone(b)});
  CHECK_FALSE(t.monitor.is_released("gpu0", 2));
}

TEST_CASE("of runs that end together on a GPU none is released before the memory is back") {
  Watched t(1);
  t.make_free();
  const server::Lease a = t.lease(1, 50), b = t.lease(2, 60);
  t.states({a, b});
  t.gpu(0).memory_used_mb = 4300;
  t.states({gone(a), gone(b)});
  CHECK_FALSE(t.monitor.is_released("gpu0", 1));
  CHECK_FALSE(t.monitor.is_released("gpu0", 2));
  t.gpu(0).memory_used_mb = 300;
  t.states({gone(a), gone(b)});
  CHECK(t.monitor.is_released("gpu0", 1));
  CHECK(t.monitor.is_released("gpu0", 2));
}

TEST_CASE("a CPU slot is released at once") {
  Watched t(0);
  server::Device slot;
  slot.id = "cpu0";
  t.inventory.devices = {slot};
  CHECK(t.states({t.lease(7, 50, "cpu0")}) == "leased");
  CHECK(t.monitor.is_released("cpu0", 7));
}

TEST_CASE("what packing may count on") {
  Watched t(1);
  t.gpu(0).memory_used_mb = 400;
  t.make_free();
  t.gpu(0).memory_used_mb = 4400;
  const server::Lease lease = t.lease(7, 50);
  SUBCASE("our processes are seen: the rest is somebody else's") {
    t.gpu(0).processes = {process(50, 3900, 50)};
    t.states({lease});
    CHECK(t.monitor.standings()[0].own_memory_mb == 3900);
    CHECK(t.monitor.standings()[0].other_memory_mb == 500);
    CHECK(t.monitor.standings()[0].why_not_shared.empty());
  }
  SUBCASE("they are hidden: what was in use before they came is somebody else's") {
    t.states({lease});
    CHECK(t.monitor.standings()[0].own_memory_mb == 0);
    CHECK(t.monitor.standings()[0].other_memory_mb == 400);
  }
  SUBCASE("somebody else joins: nothing more is added") {
    t.gpu(0).processes = {process(50, 3900, 50), process(4711, 10)};
    t.states({lease});
    CHECK(t.monitor.standings()[0].why_not_shared == "gpu0 is used by pid 4711 of user anna (python train.py)");
  }
  SUBCASE("a desktop that draws is nobody who computes: its memory is left to it") {
    t.gpu(0).processes = {process(50, 3900, 50), process(900, 120)};
    t.gpu(0).processes[1].graphics = true;
    t.states({lease});
    CHECK(t.monitor.standings()[0].why_not_shared.empty());
    CHECK(t.monitor.standings()[0].other_memory_mb == 500);
  }
  SUBCASE("it has a fault: nothing more is added") {
    t.gpu(0).fault = "has fallen off the bus";
    t.states({lease});
    CHECK(t.monitor.standings()[0].why_not_shared == "gpu0 has fallen off the bus");
    CHECK(t.monitor.view().devices[0].note == "gpu0 has fallen off the bus");
  }
}

TEST_CASE("a machine whose GPUs are all in MIG mode has none for a run without a wish") {
  Watched t(2);
  t.gpu(0).mig = true;
  t.states();
  CHECK(t.monitor.has_gpus());
  t.gpu(1).mig = true;
  t.states();
  CHECK_FALSE(t.monitor.has_gpus());
}

TEST_CASE("a change of state, holder or sentence is told, an unchanged reading is not") {
  Watched t(1);
  t.make_free();
  CHECK_FALSE(t.monitor.refresh({}));
  CHECK(t.monitor.refresh({t.lease(7, 50)}));
  CHECK_FALSE(t.monitor.refresh({t.lease(7, 50)}));
  CHECK(t.monitor.refresh({t.lease(7, 50), t.lease(8, 60)}));
  t.gpu(0).fault = "has fallen off the bus";
  CHECK(t.monitor.refresh({t.lease(7, 50), t.lease(8, 60)}));
}
