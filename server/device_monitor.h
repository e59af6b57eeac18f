// Owns the judgement which devices are free, leased by a run of ours, or busy with somebody else, and the last readings.
// refresh() is called by the dispatcher; view() by run_service from any thread.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/clock.h"
#include "server/device_inventory.h"
#include "server/views.h"

namespace moelab::server {

// A live run of ours on a device.
struct Lease {
  std::string device;
  std::int64_t run_id = 0;
  std::string run_name;
  core::TimePoint since;
  std::int64_t pid = 0;  // 0 while the worker is not there yet
};

// When a GPU nobody leases counts as free. All must hold for `hold_down` without a break: a job of somebody else between
// two steps, or a worker of ours whose memory is not yet gone, must not lose the GPU to us.
struct GpuRules {
  double max_memory_share = 0.05;  // used / total; the driver itself keeps a few hundred MB
  double max_memory_mb = 1024;     // and absolutely
  double max_utilization_pct = 10;
  std::chrono::milliseconds hold_down{3000};
};

class DeviceMonitor {
 public:
  DeviceMonitor(DeviceInventory& inventory, const core::Clock& clock, GpuRules rules = {});

  // Reads the inventory and judges it. True when the state, holder or note of any device has changed.
  bool refresh(const std::vector<Lease>& leases);
  std::vector<FreeDevice> free_devices() const;
  // As read last, for the launcher; fails with Error(internal) for an unknown id.
  Device device(const std::string& id) const;
  bool has_gpus() const;
  DevicesView view() const;

 private:
  std::string why_busy(const Device& gpu);

  DeviceInventory& inventory_;
  const core::Clock& clock_;
  const GpuRules rules_;
  mutable std::mutex mutex_;  // guards what follows
  std::vector<Device> devices_;
  DevicesView view_;
  std::map<std::string, core::TimePoint> idle_since_;  // GPUs that look idle
};

}  // namespace moelab::server
