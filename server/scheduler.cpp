#include "server/scheduler.h"

#include <algorithm>
#include <utility>

namespace moelab::server {
namespace {

constexpr std::size_t kDevicesNamed = 4;
constexpr std::chrono::seconds kLongestBackoff{60};

std::vector<const QueuedRun*> in_order(const std::vector<QueuedRun>& queue) {
  std::vector<const QueuedRun*> order;
  order.reserve(queue.size());
  for (const QueuedRun& run : queue) order.push_back(&run);
  std::sort(order.begin(), order.end(), [](const QueuedRun* a, const QueuedRun* b) {
    const auto turn = [](const QueuedRun& run) { return turn_of(run.forced, run.priority, run.queued_at, run.id); };
    return turn(*a) < turn(*b);
  });
  return order;
}

std::string noun(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::gpu:
      return "a GPU";
    case DeviceKind::cpu:
      return "a CPU slot";
    case DeviceKind::slurm:
      return "its turn in Slurm";
  }
  return "a device";
}

class Decider {
 public:
  Decider(const Situation& situation, core::TimePoint now) : situation_(situation), now_(now), devices_(situation.devices) {
    for (const RunningRun& run : situation.running) {
      ++running_;
      for (const std::int64_t experiment : run.experiments) ++busy_[experiment];
    }
  }

  Decision decide() {
    for (const QueuedRun* run : in_order(situation_.queue)) {
      std::string why = why_not(*run);
      Launch launch;
      if (why.empty()) why = place(*run, launch);
      if (!why.empty()) {
        decision_.waits.emplace(run->id, std::move(why));
        continue;
      }
      decision_.launches.push_back(launch);
      ++running_;
      for (const std::int64_t experiment : run->experiments) ++busy_[experiment];
    }
    return std::move(decision_);
  }

 private:
  // What keeps it from starting whatever the devices are.
  std::string why_not(const QueuedRun& run) {
    if (!run.waits_for.empty()) return run.waits_for;
    if (!situation_.closed.empty()) return situation_.closed;
    // Further off than any back-off: the clock was set back while no daemon was there to see it.
    if (run.not_before && *run.not_before > now_ && *run.not_before <= now_ + kLongestBackoff)
      return "waits until " + core::to_rfc3339(*run.not_before) + " after a failure";
    if (situation_.most_at_once > 0 && running_ >= situation_.most_at_once)
      return "waits: this server runs " + std::to_string(situation_.most_at_once) + " at once";
    for (const std::int64_t experiment : run.experiments) {
      const auto limit = situation_.limits.find(experiment);
      if (limit == situation_.limits.end() || busy_[experiment] < limit->second.most) continue;
      return "waits: " + limit->second.name + " runs " + std::to_string(limit->second.most) + " at once (max_concurrent)";
    }
    return "";
  }

  // Takes a device for it; the sentence why there is none otherwise.
  std::string place(const QueuedRun& run, Launch& launch) {
    DeviceOffer* const device = find(run);
    if (!device) return no_device(run);
    const PackedRun packed = as_packed(run);
    launch = {run.id, device->id, packed.share_gpu, device->gpu.runs.empty() && !device->why_not.empty()};
    device->gpu.runs.push_back(packed);
    device->why_not = device->id + " goes to run " + std::to_string(run.id);
    device->can_be_forced = false;
    about_.erase(device->kind);
    return "";
  }

  DeviceOffer* find(const QueuedRun& run) {
    const auto suits = [&](const DeviceOffer& d) {
      return d.kind == run.kind && (run.forced_device.empty() || d.id == run.forced_device);
    };
    for (DeviceOffer& d : devices_) {
      if (suits(d) && !d.gpu.runs.empty() && joins(run, d)) return &d;
    }
    for (DeviceOffer& d : devices_) {
      if (suits(d) && d.why_not.empty()) return &d;
    }
    for (DeviceOffer& d : devices_) {
      if (suits(d) && run.forced && d.can_be_forced) return &d;
    }
    return nullptr;
  }

  // A run whose need is not known has the GPU alone, which measures it.
  static PackedRun as_packed(const QueuedRun& run) { return {run.id, run.share_gpu && run.need_mb.has_value(), run.need_mb}; }

  static bool joins(const QueuedRun& run, const DeviceOffer& d) {
    const PackedRun packed = as_packed(run);
    return packed.share_gpu && d.why_not_shared.empty() && !why_not_packed(packed, d.gpu);
  }

  std::string no_device(const QueuedRun& run) {
    if (!run.forced_device.empty()) {
      for (const DeviceOffer& d : devices_) {
        if (d.id == run.forced_device && d.kind != run.kind) return "waits for " + noun(run.kind) + ", and " + d.id + " is none";
        if (d.id == run.forced_device) return "waits for " + d.id + ": " + d.why_not;
      }
      return "waits for " + run.forced_device + ", which is not there";
    }
    if (run.share_gpu) return describe(run);
    std::string& text = about_[run.kind];
    if (text.empty()) text = describe(run);
    return text;
  }

  // To a run that shares, a GPU with runs on it is not simply taken: why it cannot join them is what it waits for.
  static std::string why_not_on(const DeviceOffer& d, const QueuedRun& run) {
    if (!run.share_gpu || d.gpu.runs.empty()) return d.why_not;
    if (!d.why_not_shared.empty()) return d.why_not_shared;
    return why_not_packed({run.id, true, run.need_mb}, d.gpu).value_or(d.why_not);
  }

  std::string describe(const QueuedRun& run) const {
    std::string text = "waits for " + noun(run.kind);
    std::size_t count = 0;
    for (const DeviceOffer& d : devices_) {
      if (d.kind != run.kind) continue;
      if (count < kDevicesNamed) text += (count == 0 ? ": " : "; ") + why_not_on(d, run);
      ++count;
    }
    if (count > kDevicesNamed) text += "; and " + std::to_string(count - kDevicesNamed) + " more";
    return count == 0 ? text + ", and there is none" : text;
  }

  const Situation& situation_;
  const core::TimePoint now_;
  std::vector<DeviceOffer> devices_;
  int running_ = 0;
  std::map<std::int64_t, int> busy_;
  std::map<DeviceKind, std::string> about_;  // thousands of runs wait for the same
  Decision decision_;
};

}  // namespace

Decision decide(const Situation& situation, core::TimePoint now) {
  return Decider(situation, now).decide();
}

}  // namespace moelab::server
