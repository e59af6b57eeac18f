#include "server/devices/device_monitor.h"

#include <algorithm>

#include "core/error.h"
#include "server/devices/device_words.h"

namespace moelab::server {
namespace {

// Readings of the same state differ by a little.
constexpr double kLevelSlackMb = 64;

bool looks_the_same(const DeviceView& a, const DeviceView& b) {
  const auto same_run = [](const DeviceRunView& x, const DeviceRunView& y) { return x.id == y.id; };
  return a.id == b.id && a.state == b.state && a.note == b.note && a.processes.size() == b.processes.size() &&
         std::equal(a.runs.begin(), a.runs.end(), b.runs.begin(), b.runs.end(), same_run);
}

bool computes(const DeviceProcess& process) {
  return !process.graphics;
}

double memory_of(const std::vector<DeviceProcess>& processes) {
  double sum = 0;
  for (const DeviceProcess& process : processes) sum += process.memory_mb.value_or(0);
  return sum;
}

std::string run_words(const Lease& lease) {
  return "run " + std::to_string(lease.run_id) + " (" + lease.run_name + ")";
}

std::string used_by(const Device& device, const std::vector<const Lease*>& holders) {
  const std::string first = device.id + " is used by " + run_words(*holders.front());
  return holders.size() == 1 ? first : first + " and " + std::to_string(holders.size() - 1) + " more";
}

DeviceView describe(const Device& d) {
  DeviceView view;
  view.id = d.id;
  view.kind = to_string(d.kind);
  view.name = d.name;
  view.index = d.index;
  view.uuid = d.uuid;
  view.threads = d.threads;
  view.cpus = d.cpus;
  view.memory_total_mb = d.memory_total_mb;
  view.memory_used_mb = d.memory_used_mb;
  view.utilization_pct = d.utilization_pct;
  view.temperature_c = d.temperature_c;
  view.power_w = d.power_w;
  return view;
}

DeviceView known(std::optional<DeviceView> view, const std::string& id) {
  if (!view) throw core::Error(core::ErrorKind::not_found, "no device is called " + id + "; `moelab gpus` lists them");
  return *std::move(view);
}

}  // namespace

std::string to_string(DeviceState state) {
  switch (state) {
    case DeviceState::free: return "free";
    case DeviceState::leased: return "leased";
    case DeviceState::busy: return "busy";
    case DeviceState::quarantined: return "quarantined";
    case DeviceState::disabled: return "disabled";
    case DeviceState::faulty: return "faulty";
  }
  throw core::Error(core::ErrorKind::internal, "a device state without a name");
}

DeviceMonitor::DeviceMonitor(DeviceInventory& inventory, const core::Clock& clock, GpuRules rules, DeviceHealth* health)
    : inventory_(inventory), clock_(clock), rules_(rules), health_(health) {}

bool DeviceMonitor::refresh(const std::vector<Lease>& leases) {
  // Slow, so before the lock.
  std::vector<Device> devices = inventory_.list();
  std::map<std::string, db::DeviceRow> health = health_ ? health_->rows() : std::map<std::string, db::DeviceRow>{};
  const std::lock_guard lock(mutex_);
  const std::vector<DeviceView> before = std::move(view_.devices);
  leases_ = leases;
  remember_levels(devices);
  read_at_ = clock_.now();
  devices_ = std::move(devices);
  health_rows_ = std::move(health);
  view_.inventory = inventory_.name();
  view_.note = inventory_.note();
  judge();
  return !std::equal(view_.devices.begin(), view_.devices.end(), before.begin(), before.end(), looks_the_same);
}

void DeviceMonitor::shift(std::chrono::milliseconds by) {
  const std::lock_guard lock(mutex_);
  read_at_ += by;
  for (auto& [device, since] : idle_since_) since += by;
}

// A lease that is younger than the last reading found the memory as that reading shows it; of an adopted one nobody knows.
void DeviceMonitor::remember_levels(const std::vector<Device>& devices) {
  for (const Device& device : devices) {
    const std::vector<const Lease*> holders = leases_of(device.id);
    if (holders.empty()) level_at_grant_mb_.erase(device.id);
    const auto last_reading = std::chrono::floor<std::chrono::milliseconds>(read_at_);  // as leases are kept
    const bool all_new = std::all_of(holders.begin(), holders.end(), [&](const Lease* l) { return l->since >= last_reading; });
    if (holders.empty() || !all_new) continue;
    const auto earlier = std::find_if(devices_.begin(), devices_.end(), [&](const Device& d) { return d.id == device.id; });
    if (earlier != devices_.end() && earlier->memory_used_mb) level_at_grant_mb_.try_emplace(device.id, *earlier->memory_used_mb);
  }
}

void DeviceMonitor::judge() {
  view_.devices.clear();
  standings_.clear();
  released_.clear();
  for (const Device& device : devices_) {
    const std::vector<const Lease*> holders = leases_of(device.id);
    const Judged judged = holders.empty() ? judge_free(device) : Judged{DeviceState::leased, used_by(device, holders)};
    if (!holders.empty()) {
      idle_since_.erase(device.id);
      if (device.fault.empty() && strangers(device).empty()) ours_alone_.insert(device.id);
    }
    standings_.push_back(stand(device, judged));
    DeviceView view = describe(device);
    for (const DeviceProcess& p : device.processes) view.processes.push_back({p.pid, p.user, p.command, p.memory_mb, owner(p) != nullptr});
    view.state = to_string(judged.state);
    view.note = holders.empty() ? judged.why : standings_.back().why_not_shared;
    for (const Lease* lease : holders) {
      view.runs.push_back({lease->run_id, lease->run_name});
      if (!view.since || lease->since < *view.since) view.since = lease->since;
      if (lease->gone && gave_back(device, *lease)) released_.insert({device.id, lease->run_id});
    }
    view_.devices.push_back(std::move(view));
  }
}

// What does not pass by itself, leased or not.
std::optional<DeviceMonitor::Judged> DeviceMonitor::judge_use(const Device& device) const {
  if (!device.fault.empty()) return Judged{DeviceState::faulty, device.id + " " + device.fault};
  const auto found = health_rows_.find(DeviceHealth::key(device));
  const db::DeviceRow health = found == health_rows_.end() ? db::DeviceRow{} : found->second;
  if (health.disabled) {
    const std::string reason = health.disabled_reason.empty() ? "" : ": " + health.disabled_reason;
    return Judged{DeviceState::disabled, device.id + " is disabled by hand" + reason};
  }
  if (device.mig) return Judged{DeviceState::disabled, device.id + " is in MIG mode"};
  if (health.quarantined_until && clock_.now() < *health.quarantined_until) {
    const std::string until = clock_words(*health.quarantined_until, clock_.now());
    return Judged{DeviceState::quarantined, device.id + " is quarantined until " + until + ": " + health.quarantine_reason};
  }
  return std::nullopt;
}

DeviceMonitor::Judged DeviceMonitor::judge_free(const Device& device) {
  if (const std::optional<Judged> out_of_use = judge_use(device)) {
    idle_since_.erase(device.id);
    return *out_of_use;
  }
  const std::string why = device.kind == DeviceKind::gpu ? why_busy(device) : "";
  return {why.empty() ? DeviceState::free : DeviceState::busy, why};
}

// Also keeps idle_since_ up to date.
std::string DeviceMonitor::why_busy(const Device& gpu) {
  std::string why;
  std::vector<DeviceProcess> computing;
  std::copy_if(gpu.processes.begin(), gpu.processes.end(), std::back_inserter(computing), computes);
  const double used = gpu.memory_used_mb.value_or(0);
  const std::string in_use = gpu.id + ": " + gigabytes(used) + " of " + gigabytes(gpu.memory_total_mb.value_or(0)) + " GiB in use by ";
  if (!computing.empty()) {
    const Lease* lease = owner(computing.front());
    why = gpu.id + " is used by " + (lease ? run_words(*lease) + ", which was granted " + lease->device : process_words(computing));
  } else if (used > idle_limit_mb(gpu)) {
    why = in_use + (gpu.processes.empty() ? "processes that cannot be seen" : process_words(gpu.processes));
  } else if (gpu.utilization_pct.value_or(0) > rules_.max_utilization_pct) {
    why = gpu.id + " computes at " + std::to_string(static_cast<int>(*gpu.utilization_pct)) + " % for processes that cannot be seen";
  }
  const bool was_ours = ours_alone_.erase(gpu.id) > 0;
  if (!why.empty()) {
    idle_since_.erase(gpu.id);
    return why;
  }
  const core::TimePoint since = idle_since_.try_emplace(gpu.id, was_ours ? clock_.now() - rules_.hold_down : clock_.now()).first->second;
  const auto idle = clock_.now() - since;
  if (idle >= rules_.hold_down) return "";
  const auto seconds = [](auto time) { return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()); };
  return gpu.id + ": idle for " + seconds(idle) + " of " + seconds(rules_.hold_down) + " s";
}

DeviceStanding DeviceMonitor::stand(const Device& device, const Judged& judged) const {
  DeviceStanding standing{device.id, device.kind, judged.state, judged.why, "", device.memory_total_mb.value_or(0), 0, 0};
  if (device.kind != DeviceKind::gpu) return standing;
  const std::vector<DeviceProcess> foreign = strangers(device);
  if (const std::optional<Judged> out_of_use = judge_use(device)) {
    standing.why_not_shared = out_of_use->why;
  } else if (!foreign.empty()) {
    standing.why_not_shared = device.id + " is used by " + process_words(foreign);
  }
  bool own_seen = false;
  for (const DeviceProcess& process : device.processes) {
    if (!owner(process)) continue;
    own_seen = true;
    standing.own_memory_mb += process.memory_mb.value_or(0);
  }
  // Where the driver hides our own processes, what was in use before they came is all that is known of the rest.
  const double used = device.memory_used_mb.value_or(0);
  const auto level = level_at_grant_mb_.find(device.id);
  standing.other_memory_mb = own_seen || level == level_at_grant_mb_.end() ? std::max(0.0, used - standing.own_memory_mb) : level->second;
  return standing;
}

bool DeviceMonitor::gave_back(const Device& gpu, const Lease& lease) const {
  if (gpu.kind != DeviceKind::gpu || !gpu.fault.empty()) return true;
  for (const DeviceProcess& process : gpu.processes) {
    if (belongs_to(process, lease.pid)) return false;
  }
  const std::vector<const Lease*> holders = leases_of(gpu.id);
  if (std::any_of(holders.begin(), holders.end(), [](const Lease* l) { return !l->gone; })) return true;
  const double used = gpu.memory_used_mb.value_or(0);
  const auto level = level_at_grant_mb_.find(gpu.id);
  const bool back_to_level = level != level_at_grant_mb_.end() && used <= level->second + kLevelSlackMb;
  return back_to_level || used - memory_of(gpu.processes) <= idle_limit_mb(gpu);
}

double DeviceMonitor::idle_limit_mb(const Device& gpu) const {
  return std::min(rules_.max_memory_mb, rules_.max_memory_share * gpu.memory_total_mb.value_or(0));
}

// Processes that compute and are no run's of ours.
std::vector<DeviceProcess> DeviceMonitor::strangers(const Device& gpu) const {
  std::vector<DeviceProcess> list;
  std::copy_if(gpu.processes.begin(), gpu.processes.end(), std::back_inserter(list),
               [this](const DeviceProcess& p) { return computes(p) && !owner(p); });
  return list;
}

const Lease* DeviceMonitor::owner(const DeviceProcess& process) const {
  const auto found = std::find_if(leases_.begin(), leases_.end(), [&](const Lease& l) { return belongs_to(process, l.pid); });
  return found == leases_.end() ? nullptr : &*found;
}

std::vector<const Lease*> DeviceMonitor::leases_of(const std::string& device) const {
  std::vector<const Lease*> list;
  for (const Lease& lease : leases_) {
    if (lease.device == device) list.push_back(&lease);
  }
  return list;
}

std::vector<DeviceStanding> DeviceMonitor::standings() const {
  const std::lock_guard lock(mutex_);
  return standings_;
}

Device DeviceMonitor::device(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  for (const Device& device : devices_) {
    if (device.id == id) return device;
  }
  throw core::Error(core::ErrorKind::internal, "no device is called " + id);
}

std::string DeviceMonitor::who_is_there(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  for (const DeviceStanding& device : standings_) {
    if (device.id == id && device.state == DeviceState::busy) return device.why;
  }
  return "";
}

bool DeviceMonitor::has_gpus() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(devices_.begin(), devices_.end(), [](const Device& d) { return d.kind == DeviceKind::gpu && !d.mig; });
}

DevicesView DeviceMonitor::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

bool DeviceMonitor::is_released(const std::string& device, std::int64_t run_id) const {
  const std::lock_guard lock(mutex_);
  const auto known = std::find_if(devices_.begin(), devices_.end(), [&](const Device& d) { return d.id == device; });
  return known == devices_.end() || known->kind != DeviceKind::gpu || released_.contains({device, run_id});
}

Seat DeviceMonitor::placement(const std::string& device, std::int64_t pid) const {
  const std::lock_guard lock(mutex_);
  const auto granted = std::find_if(devices_.begin(), devices_.end(), [&](const Device& d) { return d.id == device; });
  return granted == devices_.end() ? Seat{} : check_placement(devices_, device, pid, idle_limit_mb(*granted));
}

template <class Change>
std::optional<DeviceView> DeviceMonitor::change_health(const std::string& id, Change&& change) {
  if (!health_) return std::nullopt;
  const auto is_it = [&](const auto& d) { return d.id == id; };
  std::optional<Device> device;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(devices_.begin(), devices_.end(), is_it);
    if (found == devices_.end()) return std::nullopt;
    device = *found;
  }
  change(*device);
  std::map<std::string, db::DeviceRow> health = health_->rows();
  const std::lock_guard lock(mutex_);
  health_rows_ = std::move(health);
  judge();
  const auto view = std::find_if(view_.devices.begin(), view_.devices.end(), is_it);
  return view == view_.devices.end() ? std::nullopt : std::optional(*view);
}

void DeviceMonitor::attempt_ended(const std::string& id, std::int64_t run_id, DeviceVerdict verdict) {
  if (verdict != DeviceVerdict::neutral) change_health(id, [&](const Device& d) { health_->attempt_ended(d, run_id, verdict); });
}

void DeviceMonitor::quarantine(const std::string& id, const std::string& reason) {
  change_health(id, [&](const Device& d) { health_->quarantine(d, reason); });
}

DeviceView DeviceMonitor::enable(const std::string& id) {
  return known(change_health(id, [&](const Device& d) { health_->enable(d); }), id);
}

DeviceView DeviceMonitor::disable(const std::string& id, const std::string& reason) {
  return known(change_health(id, [&](const Device& d) { health_->disable(d, reason); }), id);
}

}  // namespace moelab::server
