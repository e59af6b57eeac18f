// Owns what devices a machine has and how busy they look. An inventory only reads; who may use a device is judged by
// device_monitor. Implementations: cpu_inventory.cpp, nvml_inventory.cpp, and fakes in tests.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/devices/device_kind.h"

namespace moelab::server {

struct DeviceProcess {
  std::int64_t pid = 0;
  std::string user;
  std::string command;
  std::optional<double> memory_mb = std::nullopt;  // nothing when the driver does not tell
  std::int64_t session = 0;                        // of a worker and all its children: the worker's pid; 0 when not known
  bool graphics = false;                           // draws and does not compute, as a desktop does
  bool hidden = false;                             // a pid that is not there: just ended, or of another container
};

// Is it the worker `pid` or a child of it?
inline bool belongs_to(const DeviceProcess& process, std::int64_t pid) {
  return pid != 0 && (process.pid == pid || process.session == pid);
}

struct Device {
  std::string id;  // "gpu0", "cpu1"; stable as long as the machine is
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;  // of a GPU: in PCI bus order
  std::string name;
  std::string uuid;
  int threads = 1;        // CPU threads for a worker on it
  std::vector<int> cpus;  // of a CPU slot: the CPUs a worker is pinned to; empty = those of the daemon
  std::optional<double> memory_total_mb, memory_used_mb, utilization_pct, temperature_c, power_w;
  std::vector<DeviceProcess> processes;
  std::string fault;  // why it cannot be used at all, as the end of a sentence: "has fallen off the bus"; empty = fine
  bool mig = false;   // in MIG mode: its slices would need leases of their own
};

class DeviceInventory {
 public:
  virtual ~DeviceInventory() = default;
  virtual std::string name() const = 0;  // "nvml" | "cpu"
  virtual std::string note() const = 0;  // one sentence for people; may be empty
  // Present readings; name() and note() go with the last ones. A device that has vanished is missing or has a fault. Not thread-safe.
  virtual std::vector<Device> list() = 0;
};

// `slots` CPU slots (0 = min(4, cores)), each with cores / slots threads, at least 1, and, with `pin`, with CPUs of its own.
std::unique_ptr<DeviceInventory> make_cpu_inventory(int slots, bool pin = true);
// GPUs, whenever the NVIDIA driver's library can be loaded and finds any, and CPU slots beside them.
std::unique_ptr<DeviceInventory> make_inventory(int cpu_slots, bool pin = true);

}  // namespace moelab::server
