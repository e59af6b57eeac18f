#include "server/situation.h"

#include <algorithm>
#include <utility>

#include "core/run_state.h"
#include "db/experiment_store.h"
#include "db/queue_store.h"
#include "db/run_store.h"
#include "server/queue_mode.h"

namespace moelab::server {
namespace {

DeviceOffer offer_of(const DeviceStanding& standing) {
  DeviceOffer offer;
  offer.id = standing.id;
  offer.kind = standing.kind;
  offer.why_not = standing.why;
  offer.can_be_forced = standing.state == DeviceState::busy;
  offer.why_not_shared = standing.why_not_shared;
  offer.gpu = {standing.id, standing.memory_total_mb, standing.other_memory_mb, standing.own_memory_mb, {}};
  return offer;
}

std::string describe(const db::Unmet& unmet) {
  if (!unmet.on) return "a run that is not here";
  return "run " + std::to_string(*unmet.on) + " (" + unmet.on_name + "), which is " + core::to_string(unmet.state);
}

}  // namespace

DeviceKind kind_wanted(const db::Resources& resources, bool has_gpus, bool slurm_by_default) {
  if (resources.launcher == "slurm" || (resources.launcher == "auto" && slurm_by_default)) return DeviceKind::slurm;
  return resources.gpus.value_or(has_gpus ? 1 : 0) > 0 ? DeviceKind::gpu : DeviceKind::cpu;
}

Situation gather_situation(db::Connection& connection, const std::vector<DeviceStanding>& devices, bool has_gpus,
                           const SituationRules& rules) {
  Situation situation;
  for (const DeviceStanding& standing : devices) situation.devices.push_back(offer_of(standing));

  db::RunStore runs(connection);
  db::ExperimentStore experiments(connection);
  for (const auto& [id, most] : experiments.limits()) situation.limits[id] = {most, experiments.get(id).name};
  const auto listed_by = [&](std::int64_t run) {
    return situation.limits.empty() ? std::vector<std::int64_t>{} : experiments.experiments_of(run);
  };
  std::map<std::int64_t, std::string> waits_for;
  for (const db::Unmet& unmet : runs.unmet_dependencies()) {
    std::string& text = waits_for[unmet.run];
    text += (text.empty() ? "waits for " : " and ") + describe(unmet);
  }
  for (db::QueueEntry& entry : db::QueueStore(connection).entries()) {
    QueuedRun run;
    run.id = entry.id;
    run.priority = entry.priority;
    run.queued_at = entry.queued_at;
    run.not_before = entry.not_before;
    run.kind = kind_wanted(entry.resources, entry.on_gpu.value_or(has_gpus), rules.slurm_by_default);
    run.experiments = listed_by(entry.id);
    if (const auto found = waits_for.find(entry.id); found != waits_for.end()) run.waits_for = std::move(found->second);
    run.forced = !entry.forced_device.empty();
    if (entry.forced_device != db::kAnyDevice) run.forced_device = entry.forced_device;
    run.share_gpu = entry.resources.share_gpu && run.kind == DeviceKind::gpu;
    run.need_mb = memory_need_mb(entry.resources.memory_gb, entry.peak_memory_mb);
    situation.queue.push_back(std::move(run));
  }
  for (const db::LiveLease& lease : db::QueueStore(connection).leases()) {
    situation.running.push_back({lease.id, listed_by(lease.id)});
    const auto device =
        std::find_if(situation.devices.begin(), situation.devices.end(), [&](const DeviceOffer& d) { return d.id == lease.device; });
    if (device == situation.devices.end()) continue;
    device->gpu.runs.push_back({lease.id, lease.shared, memory_need_mb(lease.memory_gb, lease.peak_memory_mb)});
  }
  situation.most_at_once = rules.most_at_once;
  situation.closed = read_queue_mode(connection).closed();
  if (situation.closed.empty()) situation.closed = rules.closed;
  return situation;
}

}  // namespace moelab::server
