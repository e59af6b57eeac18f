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

TEST_CASE("GPUs in MIG mode are told") {
  std::string why_not;
  const server::NvmlTable table = made_up_nvml(2);
  gpus[0].mig = 1;
  const auto inventory = server::make_nvml_inventory(table, std::nullopt, &why_not);
  REQUIRE(inventory);
  CHECK(inventory->list()[0].mig);
  CHECK_FALSE(inventory->list()[1].mig);
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
