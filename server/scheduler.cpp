#include "server/scheduler.h"

#include <algorithm>
#include <tuple>

namespace moelab::server {
namespace {

std::vector<QueuedRun> in_order(std::vector<QueuedRun> queue) {
  std::sort(queue.begin(), queue.end(), [](const QueuedRun& a, const QueuedRun& b) {
    return std::tuple(-static_cast<std::int64_t>(a.priority), a.queued_at, a.id) <
           std::tuple(-static_cast<std::int64_t>(b.priority), b.queued_at, b.id);
  });
  return queue;
}

}  // namespace

std::vector<Launch> decide(const Situation& situation, core::TimePoint now) {
  std::map<std::int64_t, int> busy;
  for (const RunningRun& run : situation.running) {
    for (const std::int64_t experiment : run.experiments) ++busy[experiment];
  }
  const auto has_room = [&](std::int64_t experiment) {
    const auto limit = situation.limits.find(experiment);
    return limit == situation.limits.end() || busy[experiment] < limit->second;
  };
  std::vector<FreeDevice> free = situation.free;
  std::vector<Launch> launches;
  for (const QueuedRun& run : in_order(situation.queue)) {
    if (run.not_before && *run.not_before > now) continue;
    if (!std::all_of(run.experiments.begin(), run.experiments.end(), has_room)) continue;
    const DeviceKind kind = run.gpus.value_or(situation.has_gpus ? 1 : 0) > 0 ? DeviceKind::gpu : DeviceKind::cpu;
    const auto device = std::find_if(free.begin(), free.end(), [&](const FreeDevice& d) { return d.kind == kind; });
    if (device == free.end()) continue;
    launches.push_back({run.id, device->id});
    free.erase(device);
    for (const std::int64_t experiment : run.experiments) ++busy[experiment];
  }
  return launches;
}

}  // namespace moelab::server
