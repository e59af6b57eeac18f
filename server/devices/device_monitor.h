// Owns the judgement which devices are free, leased by a run of ours, busy with somebody else or not to be used, why, and the
// last readings. refresh() is called by the dispatcher from one thread; everything else from any thread.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "server/devices/device_health.h"
#include "server/devices/device_inventory.h"
#include "server/devices/placement.h"
#include "server/views.h"

namespace moelab::server {

// A run of ours that holds a device; several may share a GPU.
struct Lease {
  std::string device;
  std::int64_t run_id = 0;
  std::string run_name;
  core::TimePoint since;
  std::int64_t pid = 0;  // 0 while the worker is not there yet
  bool gone = false;     // its whole process group is gone; the lease is kept until is_released()
};

// When a GPU nobody leases counts as free. All must hold for `hold_down` without a break: a job of somebody else between
// two steps must not lose the GPU to us. One that was ours alone until now, and was given back clean, is free at once. A process that only draws
// counts by its memory, not by being there: else the GPU of a desktop would never be free.
struct GpuRules {
  double max_memory_share = 0.05;  // used / total; the driver itself keeps a few hundred MB
  double max_memory_mb = 1024;     // and absolutely
  double max_utilization_pct = 10;
  std::chrono::milliseconds hold_down{3000};
};

enum class DeviceState {
  free,
  leased,       // by a run of ours
  busy,         // somebody else's, or not idle for long enough
  quarantined,  // for a while: runs failed on it, or it kept the memory of one that had ended
  disabled,     // by hand, or in MIG mode
  faulty,
};
std::string to_string(DeviceState state);

// What the scheduler may know of a device.
struct DeviceStanding {
  std::string id;
  DeviceKind kind = DeviceKind::cpu;
  DeviceState state = DeviceState::free;
  std::string why;  // it is not free, in a sentence: who is there, how long it waits, what is wrong. A forced start records it
  // Of a GPU, for packing.h:
  std::string why_not_shared;  // no further run may join those on it: somebody else is there too, it is faulty or disabled
  double memory_total_mb = 0;
  double other_memory_mb = 0;  // in use, not by runs of ours
  double own_memory_mb = 0;    // in use by runs of ours
};

class DeviceMonitor {
 public:
  // Without `health` nothing is quarantined or disabled.
  DeviceMonitor(DeviceInventory& inventory, const core::Clock& clock, GpuRules rules = {}, DeviceHealth* health = nullptr);

  // Reads the inventory and judges it. True when the state, holders or note of any device have changed.
  bool refresh(const std::vector<Lease>& leases);

  // Somebody has set the clock by this much: what is known of times moves along, as the leases' do.
  void shift(std::chrono::milliseconds by);

  std::vector<DeviceStanding> standings() const;  // GPUs first
  // As read last, for the launcher; fails with Error(internal) for an unknown id.
  Device device(const std::string& id) const;
  // GPUs that a run without a wish should wait for, even if they cannot be used now; those in MIG mode are none.
  bool has_gpus() const;
  // The work of others on it, as a sentence; empty when there is none.
  std::string who_is_there(const std::string& id) const;
  DevicesView view() const;

  // Has `device` been given back by a run whose lease was `gone` at the last refresh? Its processes are off it, and, with no
  // other run on it, the memory is as low as when the lease began or within the rule for idle GPUs; what visible
  // processes of others hold is not held against the run. Always so for CPU slots and for GPUs that cannot be read.
  bool is_released(const std::string& device, std::int64_t run_id) const;
  // Where the last reading shows the worker `pid` that was granted `device`.
  Seat placement(const std::string& device, std::int64_t pid) const;

  // What device_health.h says of it; judged anew at once. The dispatcher's two ignore devices that are not here any more, a
  // person's two fail with Error(not_found).
  void attempt_ended(const std::string& device, std::int64_t run_id, DeviceVerdict verdict);
  void quarantine(const std::string& device, const std::string& reason);
  DeviceView enable(const std::string& device);
  DeviceView disable(const std::string& device, const std::string& reason);

 private:
  struct Judged {
    DeviceState state;
    std::string why;
  };
  template <class Change>
  std::optional<DeviceView> change_health(const std::string& device, Change&& change);
  void judge();
  Judged judge_free(const Device& device);
  std::optional<Judged> judge_use(const Device& device) const;
  std::string why_busy(const Device& gpu);
  void remember_levels(const std::vector<Device>& devices);
  bool gave_back(const Device& gpu, const Lease& lease) const;
  double idle_limit_mb(const Device& gpu) const;
  std::vector<DeviceProcess> strangers(const Device& gpu) const;
  DeviceStanding stand(const Device& device, const Judged& judged) const;
  const Lease* owner(const DeviceProcess& process) const;
  std::vector<const Lease*> leases_of(const std::string& device) const;

  DeviceInventory& inventory_;
  const core::Clock& clock_;
  const GpuRules rules_;
  DeviceHealth* const health_;
  mutable std::mutex mutex_;  // guards what follows
  std::vector<Device> devices_;
  std::vector<Lease> leases_;
  std::map<std::string, db::DeviceRow> health_rows_;  // by DeviceHealth::key
  DevicesView view_;
  std::vector<DeviceStanding> standings_;
  core::TimePoint read_at_;
  std::map<std::string, core::TimePoint> idle_since_;        // GPUs that look idle
  std::set<std::string> ours_alone_;                         // leased at the last reading, and nobody else computed there
  std::map<std::string, double> level_at_grant_mb_;          // memory in use on a leased GPU before its first run came
  std::set<std::pair<std::string, std::int64_t>> released_;  // device and run
};

}  // namespace moelab::server
