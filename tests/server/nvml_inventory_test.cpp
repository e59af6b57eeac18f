// What GPUs there are, through the real loader: it finds the stand-in for NVIDIA's library (fake_nvml/) instead of the real one.
#include "server/devices/nvml_inventory.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>

#include "server/devices/device_monitor.h"
#include "server/process_launcher.h"
#include "tests/server/engine_fixture.h"
#include "tests/server/nvml_scenario.h"

using namespace moelab;
using namespace std::chrono_literals;

namespace {

struct Driver : test::NvmlScenario {
  explicit Driver(int gpus, std::optional<std::string> pool = std::nullopt, std::chrono::milliseconds retry = 0ms)
      : NvmlScenario(gpus), inventory(server::make_nvml_inventory(std::move(pool), retry)) {}
  std::vector<server::Device> list() {
    save();
    return inventory->list();
  }
  // "gpu0 gpu1", and of a faulty one also why.
  std::string ids() {
    std::string text;
    for (const server::Device& d : list()) text += (text.empty() ? "" : ", ") + d.id + (d.fault.empty() ? "" : " " + d.fault);
    return text;
  }
  std::unique_ptr<server::DeviceInventory> inventory;
};

// A worker of the daemon, here a shell stand-in that runs until it is killed.
class Worker {
 public:
  Worker(const std::filesystem::path& home, int gpu) : run_dir_(home / "runs/1") {
    std::filesystem::create_directories(run_dir_);
    ::setenv("STAND_IN_STEPS", "1000000", 1);
    server::LaunchRequest request;
    request.run_id = 1;
    request.run_dir = request.cache_dir = run_dir_;
    request.kind = server::DeviceKind::gpu;
    request.gpu_index = gpu;
    process_ = launcher_.spawn(request);
    launcher_.release(process_);
    ::unsetenv("STAND_IN_STEPS");
    REQUIRE(test::eventually([&] { return std::filesystem::exists(run_dir_ / "events.jsonl"); }));
  }
  ~Worker() { end(); }
  std::int64_t pid() const { return process_.pid; }
  void end() {
    launcher_.kill(process_);
    CHECK(test::eventually([&] { return launcher_.poll(process_).has_value(); }));
  }

 private:
  std::filesystem::path run_dir_;
  server::ProcessLauncher launcher_{std::filesystem::path(MOELAB_SOURCE_DIR) / "tests/server/stand_in_worker.sh"};
  db::ProcessIdentity process_;
};

}  // namespace

TEST_CASE("readings of a GPU and of the processes on it") {
  Driver t(1);
  t.gpu(0).update({{"name", "Stand-in 3090"},
                   {"memory_total_mb", 24576},
                   {"utilization_pct", 37},
                   {"temperature_c", 61},
                   {"power_w", 120.5},
                   {"processes",
                    {{{"pid", ::getpid()}, {"memory_mb", 500}},
                     {{"pid", 1}, {"memory_mb", 100}, {"graphics", true}},
                     {{"pid", ::getpid()}, {"memory_mb", 7}, {"graphics", true}},
                     {{"pid", 4'000'000}, {"memory_mb", -1}}}}});
  const server::Device gpu = t.list().at(0);
  CHECK(t.inventory->name() == "nvml");
  CHECK(t.inventory->note().empty());
  CHECK(gpu.id == "gpu0");
  CHECK(gpu.name == "Stand-in 3090");
  CHECK(gpu.uuid == "GPU-aaaa-0");
  CHECK(gpu.memory_total_mb == 24576.0);
  CHECK(gpu.memory_used_mb == 300.0 + 500 + 100 + 7);
  CHECK(gpu.utilization_pct == 37.0);
  CHECK(gpu.temperature_c == 61.0);
  CHECK(gpu.power_w == 120.5);
  REQUIRE(gpu.processes.size() == 3);  // one that computes and draws counts once
  CHECK(gpu.processes[0].pid == ::getpid());
  CHECK(gpu.processes[0].memory_mb == 500.0);
  CHECK(gpu.processes[0].command.find("server_test") != std::string::npos);
  CHECK(gpu.processes[0].session == ::getsid(0));
  CHECK_FALSE(gpu.processes[0].hidden);
  CHECK_FALSE(gpu.processes[0].graphics);
  CHECK(gpu.processes[1].hidden);  // no such pid here
  CHECK_FALSE(gpu.processes[1].memory_mb);
  CHECK(gpu.processes[2].graphics);
  CHECK(gpu.processes[2].user == "root");
}

TEST_CASE("more processes than the first buffer holds are all read") {
  Driver t(1);
  for (int i = 0; i < 100; ++i) t.gpu(0)["processes"].push_back({{"pid", 5'000'000 + i}, {"memory_mb", 1}});
  CHECK(t.list().at(0).processes.size() == 100);
}

TEST_CASE("a preset CUDA_VISIBLE_DEVICES is the pool") {
  const auto ids = [](const std::string& pool) {
    Driver t(4, pool);
    const std::string text = t.ids();
    return text.empty() ? t.inventory->note() : text;
  };
  CHECK(ids("2,0") == "gpu0, gpu2");
  CHECK(ids("GPU-aaaa-3, 1") == "gpu1, gpu3");
  CHECK(ids("1,9,2") == "gpu1");
  CHECK(ids("") == "No GPUs: CUDA_VISIBLE_DEVICES= selects none");
  Driver t(2, "1");
  t.list();
  CHECK(t.inventory->note() == "Limited by CUDA_VISIBLE_DEVICES=1");
}

TEST_CASE("the pool stays the GPUs that it meant at first, whatever has their index later") {
  Driver t(3, "1");
  CHECK(t.ids() == "gpu1");
  t.said["gpus"].erase(0);
  CHECK(t.ids() == "gpu1");
}

TEST_CASE("GPUs in MIG mode are told") {
  Driver t(2);
  t.gpu(0)["mig"] = true;
  CHECK(t.list().at(0).mig);
  CHECK_FALSE(t.list().at(1).mig);
}

TEST_CASE("a GPU that falls off the bus stays in the list with a fault, and comes back as the same") {
  Driver t(2);
  CHECK(t.ids() == "gpu0, gpu1");
  t.gpu(1)["lost"] = true;
  CHECK(t.ids() == "gpu0, gpu1 has fallen off the bus: restart the machine");
  CHECK(t.list().at(1).uuid == "GPU-aaaa-1");
  CHECK(t.list().at(1).name == "Stand-in GPU");
  t.gpu(1)["lost"] = false;
  CHECK(t.ids() == "gpu0, gpu1");
}

TEST_CASE("a GPU that is lost when the daemon starts has its number when it comes back") {
  Driver t(2);
  t.gpu(0)["lost"] = true;
  CHECK(t.ids() == "gpu0 has fallen off the bus: restart the machine, gpu1");
  t.gpu(0)["lost"] = false;
  CHECK(t.ids() == "gpu0, gpu1");
  CHECK(t.list().at(0).uuid == "GPU-aaaa-0");
}

TEST_CASE("GPUs keep their numbers when one of them vanishes, returns or is new") {
  Driver t(3);
  CHECK(t.ids() == "gpu0, gpu1, gpu2");
  const nlohmann::json first = t.gpu(0);
  t.said["gpus"].erase(0);
  CHECK(t.ids() == "gpu0 is no longer listed by the driver, gpu1, gpu2");
  CHECK_FALSE(t.list().at(0).memory_used_mb);  // what was read of it once says nothing now
  CHECK(t.list().at(2).index == 1);  // what CUDA calls it now
  t.said["gpus"].push_back({{"uuid", "GPU-bbbb"}});
  CHECK(t.ids() == "gpu0 is no longer listed by the driver, gpu1, gpu2, gpu3");
  t.said["gpus"].push_back(first);
  CHECK(t.ids() == "gpu0, gpu1, gpu2, gpu3");
}

TEST_CASE("a GPU in the place of another one is not that one") {
  Driver t(2);
  CHECK(t.ids() == "gpu0, gpu1");
  t.gpu(1)["uuid"] = "GPU-bbbb";
  CHECK(t.ids() == "gpu0, gpu1 is no longer listed by the driver, gpu2");
}

TEST_CASE("without a driver there are no GPUs, with the reason; one that comes later is found") {
  Driver t(1);
  std::string why;
  SUBCASE("not loaded") {
    t.said["init"] = "driver_not_loaded";
    why = "No GPUs: the NVIDIA driver is not loaded";
  }
  SUBCASE("updated under the running system") {
    t.said["init"] = "version_mismatch";
    why = "No GPUs: the NVIDIA driver was updated under the running system: restart the machine";
  }
  SUBCASE("not for this user") {
    t.said["init"] = "no_permission";
    why = "No GPUs: this user may not use the NVIDIA driver";
  }
  CHECK(t.list().empty());
  CHECK(t.inventory->name() == "cpu");
  CHECK(t.inventory->note() == why);
  t.said["init"] = "ok";
  CHECK(t.ids() == "gpu0");
  CHECK(t.inventory->name() == "nvml");
  CHECK(t.inventory->note().empty());
}

TEST_CASE("a driver without GPUs says so") {
  Driver t(0);
  CHECK(t.list().empty());
  CHECK(t.inventory->note() == "No GPUs: the NVIDIA driver finds none");
}

TEST_CASE("a driver that goes away makes its GPUs faulty, and heals when it is back") {
  Driver t(2);
  CHECK(t.ids() == "gpu0, gpu1");
  t.said["init"] = "driver_not_loaded";
  CHECK(t.ids() == "gpu0 cannot be read: the NVIDIA driver is not loaded, gpu1 cannot be read: the NVIDIA driver is not loaded");
  CHECK(t.inventory->note() == "GPUs cannot be read: the NVIDIA driver is not loaded");
  CHECK(t.inventory->name() == "nvml");
  CHECK(t.ids().find("cannot be read") != std::string::npos);  // still, at the next try
  t.said["init"] = "ok";
  CHECK(t.ids() == "gpu0, gpu1");
}

TEST_CASE("a driver that does not answer is not tried again at every reading") {
  Driver t(1, std::nullopt, 1h);
  t.said["init"] = "driver_not_loaded";
  CHECK(t.list().empty());
  t.said["init"] = "ok";
  CHECK(t.list().empty());
}

TEST_CASE("the stand-in shows live workers where they are, or where the scenario says") {
  Driver t(2);
  t.said["follow"] = {{"home", t.dir().string()}, {"memory_mb", 900}};
  Worker worker(t.dir(), 1);
  std::vector<server::Device> gpus = t.list();
  CHECK(gpus[0].processes.empty());
  REQUIRE(gpus[1].processes.size() == 1);
  CHECK(server::belongs_to(gpus[1].processes[0], worker.pid()));
  CHECK(gpus[1].memory_used_mb == 1200.0);
  CHECK(server::check_placement(gpus, "gpu1", worker.pid(), 1000).placement == server::Placement::right);

  t.said["follow"]["on"] = 0;
  CHECK(server::check_placement(t.list(), "gpu1", worker.pid(), 1000) == server::Seat{server::Placement::wrong, "gpu0"});

  t.said["follow"].erase("on");
  t.said["follow"]["hide"] = true;
  gpus = t.list();
  CHECK(gpus[1].processes.empty());
  CHECK(gpus[1].memory_used_mb == 1200.0);
  CHECK(server::check_placement(gpus, "gpu1", worker.pid(), 1000).placement == server::Placement::unknown);
  CHECK(server::check_placement(gpus, "gpu0", worker.pid(), 1000).placement == server::Placement::not_seen);
}

TEST_CASE("memory that a worker leaves behind keeps its GPU from being released") {
  Driver t(1);
  t.said["follow"] = {{"home", t.dir().string()}, {"memory_mb", 3000}, {"leak", true}};
  t.save();
  test::ManualClock clock;
  server::DeviceMonitor monitor(*t.inventory, clock);
  monitor.refresh({});
  clock.advance(3s);
  Worker worker(t.dir(), 0);
  server::Lease lease{"gpu0", 1, "r1", clock.now(), worker.pid()};
  monitor.refresh({lease});
  CHECK(monitor.placement("gpu0", worker.pid()).placement == server::Placement::right);
  worker.end();
  lease.gone = true;
  monitor.refresh({lease});
  CHECK_FALSE(monitor.is_released("gpu0", 1));
  monitor.refresh({});
  CHECK(monitor.standings()[0].why == "gpu0: 3.2 of 24 GiB in use by processes that cannot be seen");
  t.said["follow"]["leak"] = false;
  t.save();
  monitor.refresh({lease});
  CHECK(monitor.is_released("gpu0", 1));
}
