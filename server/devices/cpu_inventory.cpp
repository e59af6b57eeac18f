#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "server/devices/cpu_slots.h"
#include "server/devices/device_inventory.h"
#include "server/devices/nvml_inventory.h"

namespace moelab::server {
namespace {

constexpr int kDefaultSlots = 4;
constexpr std::chrono::seconds kDriverRetry{10};

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) {
      const std::size_t at = line.find(": ");
      if (at != std::string::npos) return line.substr(at + 2);
    }
  }
  return "CPU";
}

class CpuInventory final : public DeviceInventory {
 public:
  CpuInventory(int slots, bool pin) {
    const std::vector<LogicalCpu> cpus = read_cpus();
    const int cores = std::max(1, cpus.empty() ? static_cast<int>(std::thread::hardware_concurrency()) : static_cast<int>(cpus.size()));
    const int count = slots > 0 ? slots : std::min(kDefaultSlots, cores);
    const bool pinned = pin && !cpus.empty();
    const auto parts = pinned ? divide(cpus, count) : std::vector<std::vector<int>>(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      Device slot;
      slot.id = "cpu" + std::to_string(i);
      slot.index = i;
      slot.name = cpu_model();
      slot.threads = std::max(1, cores / count);
      slot.cpus = parts[static_cast<std::size_t>(i)];
      slots_.push_back(slot);
    }
  }
  std::string name() const override { return "cpu"; }
  std::string note() const override { return ""; }
  std::vector<Device> list() override { return slots_; }

 private:
  std::vector<Device> slots_;
};

// GPUs first, then CPU slots for runs that ask for no GPU.
class JoinedInventory final : public DeviceInventory {
 public:
  JoinedInventory(std::unique_ptr<DeviceInventory> gpus, std::unique_ptr<DeviceInventory> cpus)
      : gpus_(std::move(gpus)), cpus_(std::move(cpus)) {}
  std::string name() const override { return gpus_->name(); }
  std::string note() const override { return gpus_->note(); }
  std::vector<Device> list() override {
    std::vector<Device> all = gpus_->list();
    const std::vector<Device> slots = cpus_->list();
    all.insert(all.end(), slots.begin(), slots.end());
    return all;
  }

 private:
  std::unique_ptr<DeviceInventory> gpus_, cpus_;
};

}  // namespace

std::unique_ptr<DeviceInventory> make_cpu_inventory(int slots, bool pin) {
  return std::make_unique<CpuInventory>(slots, pin);
}

std::unique_ptr<DeviceInventory> make_inventory(int cpu_slots, bool pin) {
  const char* pool = std::getenv("CUDA_VISIBLE_DEVICES");
  return std::make_unique<JoinedInventory>(make_nvml_inventory(pool ? std::optional<std::string>(pool) : std::nullopt, kDriverRetry),
                                           make_cpu_inventory(cpu_slots, pin));
}

}  // namespace moelab::server
