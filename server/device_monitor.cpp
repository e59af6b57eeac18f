#include "server/device_monitor.h"

#include <algorithm>

#include "core/error.h"

namespace moelab::server {
namespace {

bool is_free(const DeviceView& device) {
  return device.state == "free";
}

bool looks_the_same(const DeviceView& a, const DeviceView& b) {
  return a.id == b.id && a.state == b.state && a.note == b.note && a.run_id == b.run_id && a.processes.size() == b.processes.size();
}

DeviceView describe(const Device& d, const std::vector<Lease>& leases) {
  DeviceView view;
  view.id = d.id;
  view.kind = d.kind == DeviceKind::gpu ? "gpu" : "cpu";
  view.name = d.name;
  view.index = d.index;
  view.uuid = d.uuid;
  view.threads = d.threads;
  view.memory_total_mb = d.memory_total_mb;
  view.memory_used_mb = d.memory_used_mb;
  view.utilization_pct = d.utilization_pct;
  for (const DeviceProcess& p : d.processes) {
    const bool own = std::any_of(leases.begin(), leases.end(), [&](const Lease& l) { return l.pid == p.pid && p.pid != 0; });
    view.processes.push_back({p.pid, p.user, p.command, p.memory_mb, own});
  }
  return view;
}

}  // namespace

DeviceMonitor::DeviceMonitor(DeviceInventory& inventory, const core::Clock& clock, GpuRules rules)
    : inventory_(inventory), clock_(clock), rules_(rules) {
  view_.inventory = inventory.name();
  view_.note = inventory.note();
}

// Also keeps idle_since_ up to date.
std::string DeviceMonitor::why_busy(const Device& gpu) {
  std::string why;
  if (!gpu.fault.empty()) {
    why = gpu.fault;
  } else if (!gpu.processes.empty()) {
    why = "in use by " + gpu.processes.front().user + ": " + gpu.processes.front().command;
  } else if (gpu.memory_used_mb.value_or(0) > std::min(rules_.max_memory_mb, rules_.max_memory_share * gpu.memory_total_mb.value_or(0))) {
    why = "its memory is in use";
  } else if (gpu.utilization_pct.value_or(0) > rules_.max_utilization_pct) {
    why = "it is computing";
  }
  if (!why.empty()) {
    idle_since_.erase(gpu.id);
    return why;
  }
  const core::TimePoint since = idle_since_.try_emplace(gpu.id, clock_.now()).first->second;
  return clock_.now() - since < rules_.hold_down ? "idle for a moment only" : "";
}

bool DeviceMonitor::refresh(const std::vector<Lease>& leases) {
  std::vector<Device> devices = inventory_.list();
  const std::lock_guard lock(mutex_);
  std::vector<DeviceView> views;
  for (const Device& device : devices) {
    DeviceView view = describe(device, leases);
    const auto lease = std::find_if(leases.begin(), leases.end(), [&](const Lease& l) { return l.device == device.id; });
    if (lease != leases.end()) {
      view.state = "leased";
      view.note = device.fault;
      view.run_id = lease->run_id;
      view.run_name = lease->run_name;
      view.since = lease->since;
      idle_since_.erase(device.id);
    } else if (device.kind == DeviceKind::cpu) {
      view.state = "free";
    } else {
      view.note = why_busy(device);
      view.state = view.note.empty() ? "free" : "busy";
    }
    views.push_back(std::move(view));
  }
  const bool changed = !std::equal(views.begin(), views.end(), view_.devices.begin(), view_.devices.end(), looks_the_same);
  view_.devices = std::move(views);
  devices_ = std::move(devices);
  return changed;
}

std::vector<FreeDevice> DeviceMonitor::free_devices() const {
  const std::lock_guard lock(mutex_);
  std::vector<FreeDevice> free;
  for (const DeviceView& device : view_.devices) {
    if (is_free(device)) free.push_back({device.id, device.kind == "gpu" ? DeviceKind::gpu : DeviceKind::cpu});
  }
  return free;
}

Device DeviceMonitor::device(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  for (const Device& device : devices_) {
    if (device.id == id) return device;
  }
  throw core::Error(core::ErrorKind::internal, "no device is called " + id);
}

bool DeviceMonitor::has_gpus() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(devices_.begin(), devices_.end(), [](const Device& d) { return d.kind == DeviceKind::gpu; });
}

DevicesView DeviceMonitor::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

}  // namespace moelab::server
