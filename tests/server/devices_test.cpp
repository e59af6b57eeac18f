// Who may have a GPU: a made-up NVML through the same table as the real one, and the monitor's judgement.
#include <doctest/doctest.h>

#include <unistd.h>

#include <cstring>

#include "server/device_monitor.h"
#include "server/nvml_inventory.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using namespace std::chrono_literals;

namespace {

struct MadeUpGpu {
  double memory_used_mb = 300;
  unsigned utilization = 0;
  std::vector<server::NvmlProcess> processes;
  bool lost = false;
  unsigned mig = 0;
};
std::vector<MadeUpGpu> gpus;

std::size_t index_of(server::NvmlDevice device) {
  return reinterpret_cast<std::size_t>(device) - 1;
}

server::NvmlTable made_up_nvml(std::size_t how_many) {
  gpus.assign(how_many, MadeUpGpu{});
  server::NvmlTable t;
  t.init = [] { return server::kNvmlSuccess; };
  t.device_count = [](unsigned* n) {
    *n = static_cast<unsigned>(gpus.size());
    return server::kNvmlSuccess;
  };
  t.handle_by_index = [](unsigned i, server::NvmlDevice* device) {
    *device = reinterpret_cast<server::NvmlDevice>(static_cast<std::size_t>(i) + 1);
    return gpus[i].lost ? 15 : server::kNvmlSuccess;
  };
  t.name = [](server::NvmlDevice, char* text, unsigned size) {
    std::strncpy(text, "Made-up GPU", size);
    return server::kNvmlSuccess;
  };
  t.uuid = [](server::NvmlDevice device, char* text, unsigned size) {
    std::strncpy(text, ("GPU-aaaa-" + std::to_string(index_of(device))).c_str(), size);
    return server::kNvmlSuccess;
  };
  t.memory = [](server::NvmlDevice device, server::NvmlMemory* memory) {
    memory->total = 24'000ULL << 20;
    memory->used = static_cast<unsigned long long>(gpus[index_of(device)].memory_used_mb) << 20;
    return server::kNvmlSuccess;
  };
  t.utilization = [](server::NvmlDevice device, server::NvmlUtilization* u) {
    u->gpu = gpus[index_of(device)].utilization;
    return server::kNvmlSuccess;
  };
  t.processes = [](server::NvmlDevice device, unsigned* count, server::NvmlProcess* list) {
    const auto& processes = gpus[index_of(device)].processes;
    const bool fits = *count >= processes.size();
    *count = static_cast<unsigned>(processes.size());
    if (!fits) return server::kNvmlInsufficientSize;
    std::copy(processes.begin(), processes.end(), list);
    return server::kNvmlSuccess;
  };
  t.mig_mode = [](server::NvmlDevice device, unsigned* current, unsigned*) {
    *current = gpus[index_of(device)].mig;
    return server::kNvmlSuccess;
  };
  return t;
}

server::NvmlProcess compute(std::int64_t pid) {
  return {static_cast<unsigned>(pid), 500ULL << 20, 0, 0};
}

struct Watched {
  explicit Watched(std::size_t count, std::optional<std::string> pool = std::nullopt)
      : inventory(server::make_nvml_inventory(made_up_nvml(count), pool, &why_not)), monitor(*inventory, clock, rules()) {}
  static server::GpuRules rules() {
    server::GpuRules r;
    r.hold_down = 3000ms;
    return r;
  }
  // "free", "leased" or "busy" of each GPU.
  std::string states(const std::vector<server::Lease>& leases = {}) {
    monitor.refresh(leases);
    std::string text;
    for (const server::DeviceView& d : monitor.view().devices) text += (text.empty() ? "" : " ") + d.state;
    return text;
  }
  std::string why_not;
  test::ManualClock clock;
  std::unique_ptr<server::DeviceInventory> inventory;
  server::DeviceMonitor monitor;
};

}  // namespace

TEST_CASE("an idle GPU is free only after the hold-down, and one busy reading starts it again") {
  Watched t(1);
  CHECK(t.states() == "busy");
  t.clock.advance(2999ms);
  CHECK(t.states() == "busy");
  t.clock.advance(1ms);
  CHECK(t.states() == "free");
  CHECK(t.monitor.free_devices().size() == 1);
  SUBCASE("a foreign process") {
    gpus[0].processes = {compute(::getpid())};
  }
  SUBCASE("memory without a visible process") {
    gpus[0].memory_used_mb = 1100;
  }
  SUBCASE("utilisation") {
    gpus[0].utilization = 11;
  }
  SUBCASE("a lost GPU") {
    gpus[0].lost = true;
  }
  CHECK(t.states() == "busy");
  CHECK(t.monitor.free_devices().empty());
  CHECK_FALSE(t.monitor.view().devices[0].note.empty());
  gpus[0] = MadeUpGpu{};
  CHECK(t.states() == "busy");
  t.clock.advance(3000ms);
  CHECK(t.states() == "free");
}

TEST_CASE("a leased GPU shows its run and its process, and its hold-down starts when the lease ends") {
  Watched t(2);
  t.states();
  t.clock.advance(5s);
  CHECK(t.states() == "free free");
  gpus[1].processes = {compute(::getpid()), compute(1)};
  const server::Lease lease{"gpu1", 7, "a0", t.clock.now(), ::getpid()};
  CHECK(t.states({lease}) == "free leased");
  const server::DeviceView device = t.monitor.view().devices[1];
  CHECK(device.run_id == 7);
  CHECK(device.run_name == "a0");
  REQUIRE(device.processes.size() == 2);
  CHECK(device.processes[0].own);
  CHECK_FALSE(device.processes[1].own);
  CHECK(device.processes[0].memory_mb == 500);
  CHECK(device.processes[0].command != "?");
  t.clock.advance(60s);
  gpus[1].processes.clear();
  CHECK(t.states() == "free busy");
  t.clock.advance(3s);
  CHECK(t.states() == "free free");
}

TEST_CASE("more processes than the first buffer holds are all read") {
  Watched t(1);
  for (int i = 0; i < 100; ++i) gpus[0].processes.push_back(compute(1));
  t.states();
  CHECK(t.monitor.view().devices[0].processes.size() == 100);
}

TEST_CASE("a preset CUDA_VISIBLE_DEVICES is the pool") {
  const auto ids = [](const std::string& pool) {
    std::string why_not, text;
    const auto inventory = server::make_nvml_inventory(made_up_nvml(4), pool, &why_not);
    if (!inventory) return why_not;
    for (const server::Device& d : inventory->list()) text += d.id + " ";
    return text;
  };
  CHECK(ids("2,0") == "gpu0 gpu2 ");
  CHECK(ids("GPU-aaaa-3, 1") == "gpu1 gpu3 ");
  CHECK(ids("1,9,2") == "gpu1 ");
  CHECK(ids("") == "No GPUs: CUDA_VISIBLE_DEVICES= selects none");
}

TEST_CASE("GPUs in MIG mode are not used") {
  std::string why_not;
  const server::NvmlTable table = made_up_nvml(2);
  gpus[0].mig = 1;
  const auto inventory = server::make_nvml_inventory(table, std::nullopt, &why_not);
  REQUIRE(inventory);
  CHECK(inventory->list()[0].fault == "it is in MIG mode");
  gpus[1].mig = 1;
  CHECK_FALSE(server::make_nvml_inventory(table, std::nullopt, &why_not));
  CHECK(why_not.find("MIG") != std::string::npos);
}

TEST_CASE("CPU slots share the cores") {
  const auto four = server::make_cpu_inventory(4)->list();
  CHECK(four.size() == 4);
  CHECK(four[3].id == "cpu3");
  CHECK(four[0].threads >= 1);
  const auto one = server::make_cpu_inventory(1)->list();
  CHECK(one[0].threads >= four[0].threads);
  CHECK(server::make_cpu_inventory(0)->list().size() <= 4);
}
