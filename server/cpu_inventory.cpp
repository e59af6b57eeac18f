#include <sched.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "server/device_inventory.h"
#include "server/nvml_inventory.h"

namespace moelab::server {
namespace {

constexpr int kDefaultSlots = 4;

// Cores this process may use: fewer than the machine has under taskset or in a container with a CPU set.
int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

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
  explicit CpuInventory(int slots) {
    const int cores = usable_cores();
    const int count = slots > 0 ? slots : std::min(kDefaultSlots, cores);
    for (int i = 0; i < count; ++i) {
      Device slot;
      slot.id = "cpu" + std::to_string(i);
      slot.index = i;
      slot.name = cpu_model();
      slot.threads = std::max(1, cores / count);
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

class NotedInventory final : public DeviceInventory {
 public:
  NotedInventory(std::unique_ptr<DeviceInventory> inner, std::string note) : inner_(std::move(inner)), note_(std::move(note)) {}
  std::string name() const override { return inner_->name(); }
  std::string note() const override { return note_; }
  std::vector<Device> list() override { return inner_->list(); }

 private:
  std::unique_ptr<DeviceInventory> inner_;
  std::string note_;
};

}  // namespace

std::unique_ptr<DeviceInventory> make_cpu_inventory(int slots) {
  return std::make_unique<CpuInventory>(slots);
}

std::unique_ptr<DeviceInventory> make_inventory(int cpu_slots) {
  std::string why_not;
  std::unique_ptr<DeviceInventory> gpus = make_nvml_inventory(&why_not);
  if (!gpus) return std::make_unique<NotedInventory>(make_cpu_inventory(cpu_slots), why_not);
  return std::make_unique<JoinedInventory>(std::move(gpus), make_cpu_inventory(cpu_slots));
}

}  // namespace moelab::server
