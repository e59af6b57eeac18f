#include "server/run_service.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <utility>

#include "core/clock.h"
#include "core/error.h"
#include "core/plan.h"
#include "db/alert_store.h"
#include "db/file_store.h"
#include "db/load_store.h"
#include "db/metric_store.h"
#include "db/queue_store.h"
#include "db/run_list.h"
#include "server/analysis/experiment_statistics.h"
#include "server/analysis/lr_sweep_store.h"
#include "server/devices/device_monitor.h"
#include "server/event_bus.h"
#include "server/paths.h"
#include "server/run_changes.h"
#include "server/scheduler.h"
#include "server/situation.h"
#include "server/slurm/slurm_check.h"
#include "server/submission.h"
#include "server/view_builder.h"

namespace moelab::server {
namespace {

constexpr std::int64_t kMaxLimit = 1000;
constexpr std::int64_t kMaxAlerts = 1000;  // of a run, the newest

std::int64_t offset_from(const std::string& cursor) {
  if (cursor.empty()) return 0;
  std::int64_t offset = -1;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), offset);
  if (error != std::errc{} || end != cursor.data() + cursor.size() || offset < 0) {
    throw core::Error(core::ErrorKind::usage, "'" + cursor + "' is not a cursor; use next_cursor of the page before");
  }
  return offset;
}

void add_frame(ExpertLoadView& view, db::LoadFrame frame) {
  view.layers = std::move(frame.layers);
  view.slots = frame.slots;
  view.experts = frame.experts;
  view.frames.push_back({frame.step, std::move(frame.counts)});
}

}  // namespace

RunService::RunService(db::Database& database, std::filesystem::path home, const core::Clock& clock, EventBus& bus, DeviceMonitor& devices,
                       const WaitReasons& reasons, std::string version, const SlurmCheck* slurm)
    : database_(database),
      home_(std::move(home)),
      clock_(clock),
      bus_(bus),
      devices_(devices),
      reasons_(reasons),
      retention_(database, HomePaths(home_), clock, bus),
      version_(std::move(version)),
      slurm_(slurm),
      started_at_(clock.now()) {}

void RunService::publish(const std::vector<RunId>& ids) {
  for (const RunId id : ids) RunChanges(database_, bus_).publish(id);
}

SubmitResult RunService::submit(const core::PlanRequest& request, bool force) {
  const core::Plan plan = core::make_plan(request);
  core::require_data(plan, request.source_name);
  require_resources(plan, request.source_name, devices_.view(), slurm_ && slurm_->by_default());
  if (slurm_) slurm_->require(plan, request.source_name);
  const Submitted submitted = record_plan(database_, HomePaths(home_), plan, request.source_name, force, clock_.now());
  publish(submitted.runs);
  return database_.read([&](db::Connection& c) {
    ViewBuilder views(c, clock_.now(), reasons_);
    db::ExperimentStore experiments(c);
    SubmitResult result;
    result.created = submitted.created;
    result.reused = submitted.reused;
    for (const ExperimentId id : submitted.experiments) result.experiments.push_back(views.experiment(experiments.get(id)));
    for (const auto& [experiment, name] : submitted.members) {
      const std::optional<db::MemberRow> member = experiments.member(experiment, name);
      result.runs.push_back(views.run({db::RunStore(c).get(member->run_id), member}));
    }
    return result;
  });
}

RunPage RunService::runs(const RunQuery& query) const {
  if (query.limit < 1 || query.limit > kMaxLimit)
    throw core::Error(core::ErrorKind::usage, "limit must be between 1 and " + std::to_string(kMaxLimit));
  const std::int64_t offset = offset_from(query.cursor);
  return database_.read([&](db::Connection& c) {
    if (query.experiment) db::ExperimentStore(c).get(*query.experiment);
    const db::RunList list = db::list_runs(
        c, {query.states, query.experiment, query.tag, query.search, query.sort, query.limit, offset, query.archived});
    RunPage page{ViewBuilder(c, clock_.now(), reasons_).runs(list.runs), list.total, std::nullopt};
    const std::int64_t next = offset + static_cast<std::int64_t>(page.runs.size());
    if (!page.runs.empty() && next < list.total) page.next_cursor = std::to_string(next);
    return page;
  });
}

RunView RunService::run(RunId id) const {
  return database_.read([&](db::Connection& c) { return ViewBuilder(c, clock_.now(), reasons_).run(id); });
}

RunDetail RunService::run_detail(RunId id) const {
  RunDetail detail = database_.read([&](db::Connection& c) {
    db::RunStore runs(c);
    db::FileStore files(c);
    RunDetail d;
    d.run = ViewBuilder(c, clock_.now(), reasons_).run(id);
    const nlohmann::json spec = runs.spec(id);
    d.config = spec.value("config", nlohmann::json::object());
    const std::vector<db::MemberRow> listings = db::ExperimentStore(c).listings(id);
    d.notes = listings.empty() ? spec.value("notes", "") : listings.front().notes;
    for (const db::RunEventRow& e : runs.events(id)) d.events.push_back({e.time, e.from, e.to, e.reason});
    for (const db::AlertRow& a : db::AlertStore(c).list(id, kMaxAlerts)) d.alerts.push_back({a.time, a.attempt, a.step, a.code, a.message});
    for (const db::ArtifactRow& a : files.artifacts(id)) d.artifacts.push_back({a.name, a.kind, a.path, 0});
    for (const db::CheckpointRow& k : files.checkpoints(id)) d.checkpoints.push_back({k.step, k.path, k.best});
    d.provenance = runs.provenance(id, d.run.attempt);
    return d;
  });
  const std::filesystem::path directory = HomePaths(home_).run(id);
  detail.run_dir = directory.string();
  for (ArtifactView& artifact : detail.artifacts) {
    std::error_code missing;
    const auto bytes = std::filesystem::file_size(directory / artifact.path, missing);
    artifact.bytes = missing ? 0 : static_cast<std::int64_t>(bytes);
  }
  // Checkpoints that the worker has dropped since (keep_last) are no news.
  std::erase_if(detail.checkpoints, [&](const CheckpointView& k) { return !std::filesystem::exists(directory / k.path); });
  return detail;
}

std::vector<ExperimentView> RunService::experiments(bool archived) const {
  return database_.read([&](db::Connection& c) {
    ViewBuilder views(c, clock_.now(), reasons_);
    std::vector<ExperimentView> list;
    for (const db::ExperimentRow& row : db::ExperimentStore(c).all()) {
      ExperimentView view = views.experiment(row);
      if (archived || !view.archived) list.push_back(std::move(view));
    }
    return list;
  });
}

ExperimentView RunService::experiment(ExperimentId id) const {
  return database_.read([&](db::Connection& c) { return ViewBuilder(c, clock_.now(), reasons_).experiment(db::ExperimentStore(c).get(id)); });
}

ResultTable RunService::results(ExperimentId id, bool archived) const {
  return database_.read([&](db::Connection& c) {
    return ViewBuilder(c, clock_.now(), reasons_).results(db::ExperimentStore(c).get(id), archived);
  });
}

LrSweepReport RunService::lr_sweep(ExperimentId id) const {
  return database_.read([&](db::Connection& c) { return read_lr_sweep(c, id); });
}

ExperimentStatistics RunService::statistics(ExperimentId id, const std::string& metric, bool archived) const {
  return database_.read([&](db::Connection& c) { return experiment_statistics(c, db::ExperimentStore(c).get(id), metric, archived); });
}

RunView RunService::act(RunVerb verb, RunId id) {
  return only(act(verb, std::vector{id}));
}

VerbResult RunService::act(RunVerb verb, const std::vector<RunId>& ids) {
  const bool shows_in_listings = verb == RunVerb::archive || verb == RunVerb::unarchive;
  return change_each(ids, shows_in_listings, [&](db::Connection& c, RunId id) { return apply_verb(c, id, verb, clock_.now()); });
}

VerbResult RunService::act_on_experiment(RunVerb verb, ExperimentId id) {
  return act(verb, members(id));
}

std::vector<RunId> RunService::members(ExperimentId id) const {
  return database_.read([&](db::Connection& c) {
    db::ExperimentStore experiments(c);
    experiments.get(id);
    std::vector<RunId> ids;
    for (const db::MemberRow& m : experiments.members(id)) ids.push_back(m.run_id);
    return ids;
  });
}

template <class Change>
VerbResult RunService::change_each(const std::vector<RunId>& ids, bool shows_in_listings, Change&& change) {
  VerbResult result;
  std::vector<RunId> changed;
  database_.write([&](db::Connection& c) {
    FileBatch files;
    std::set<RunId> seen;
    for (const RunId id : ids) {
      if (!seen.insert(id).second) continue;
      if (std::optional<std::string> refused = change(c, id)) {
        result.skipped.push_back({id, *std::move(refused)});
        continue;
      }
      changed.push_back(id);
      if (shows_in_listings) add_listings(files, c, HomePaths(home_), id);
    }
    files.put_in_place();
  });
  publish(changed);
  for (const RunId id : changed) result.runs.push_back(run(id));
  return result;
}

RunView RunService::only(const VerbResult& result) const {
  if (!result.skipped.empty()) throw core::Error(core::ErrorKind::conflict, result.skipped.front().reason);
  return result.runs.front();
}

RunView RunService::set_priority(RunId id, int priority) {
  return only(set_priority(std::vector{id}, priority));
}

VerbResult RunService::set_priority(const std::vector<RunId>& ids, int priority) {
  return change_each(ids, true, [&](db::Connection& c, RunId id) { return apply_priority(c, id, priority); });
}

RunView RunService::force(RunId id, const std::string& device) {
  return only(force(std::vector{id}, device));
}

VerbResult RunService::force(const std::vector<RunId>& ids, const std::string& device) {
  const std::optional<DeviceView> onto = device.empty() ? std::nullopt : std::optional(device_called(device));
  const bool has_gpus = devices_.has_gpus(), slurm_by_default = slurm_ && slurm_->by_default();
  return change_each(ids, false, [&](db::Connection& c, RunId id) -> std::optional<std::string> {
    const db::RunRow run = db::RunStore(c).get(id);
    const std::string kind = to_string(kind_wanted(run.resources, run.on_gpu.value_or(has_gpus), slurm_by_default));
    if (onto && run.state == core::RunState::queued && onto->kind != kind) {
      return "run " + std::to_string(id) + " (" + run.name + ") cannot start on " + device + ": it needs a " + kind +
             " device, and that is a " + onto->kind + " one";
    }
    return apply_force(c, id, device.empty() ? db::kAnyDevice : device, clock_.now());
  });
}

DeviceView RunService::device_called(const std::string& id) const {
  for (const DeviceView& device : devices_.view().devices) {
    if (device.id == id) return device;
  }
  throw core::Error(core::ErrorKind::not_found, "there is no device " + id + "; `moelab gpus` lists them");
}

QueueView RunService::queue(std::int64_t limit) const {
  return database_.read([&](db::Connection& c) {
    QueueView view;
    view.mode = read_queue_mode(c);
    std::vector<db::QueueEntry> entries = db::QueueStore(c).entries();
    std::sort(entries.begin(), entries.end(), [](const db::QueueEntry& a, const db::QueueEntry& b) {
      const auto turn = [](const db::QueueEntry& e) { return turn_of(!e.forced_device.empty(), e.priority, e.queued_at, e.id); };
      return turn(a) < turn(b);
    });
    view.total = static_cast<std::int64_t>(entries.size());
    view.live = static_cast<std::int64_t>(db::QueueStore(c).leases().size());
    ViewBuilder views(c, clock_.now(), reasons_);
    for (const db::QueueEntry& entry : entries) {
      if (static_cast<std::int64_t>(view.runs.size()) == limit) break;
      view.runs.push_back(views.run(entry.id));
    }
    return view;
  });
}

QueueView RunService::set_queue_mode(QueueMode::Kind kind, const std::string& reason) {
  database_.write([&](db::Connection& c) { write_queue_mode(c, {kind, reason, clock_.now()}); });
  bus_.queue_changed();
  return queue(0);
}

std::vector<SeriesView> RunService::metrics(RunId id, const std::vector<std::string>& keys, std::int64_t from_step,
                                            std::int64_t max_points) const {
  if (max_points < 0 || (max_points > 0 && max_points < 4))
    throw core::Error(core::ErrorKind::usage, "max_points must be 0 (all) or at least 4");
  return database_.read([&](db::Connection& c) {
    db::RunStore(c).get(id);
    db::MetricStore metrics(c);
    std::vector<SeriesView> list;
    for (const std::string& key : keys.empty() ? metrics.keys(id) : keys) {
      const db::Series series = metrics.query(id, key, from_step, max_points);
      SeriesView view{key, {}, series.total_points};
      view.points.reserve(series.points.size());
      for (const db::MetricPoint& p : series.points) view.points.emplace_back(p.step, p.value);
      list.push_back(std::move(view));
    }
    return list;
  });
}

ExpertLoadView RunService::expert_load(RunId id, std::int64_t from_step, std::int64_t max_frames, std::optional<std::int64_t> layer) const {
  return database_.read([&](db::Connection& c) {
    db::RunStore(c).get(id);
    db::LoadStore loads(c);
    const std::vector<std::int64_t> steps = loads.steps(id, from_step);
    ExpertLoadView view;
    view.total_frames = static_cast<std::int64_t>(steps.size());
    for (const std::int64_t step : db::spread(steps, max_frames)) {
      add_frame(view, *loads.frame(id, step, layer));
      if (layer && view.layers.empty()) {
        throw core::Error(core::ErrorKind::not_found, "run " + std::to_string(id) + " has no router in layer " + std::to_string(*layer));
      }
    }
    return view;
  });
}

ExpertLoadView RunService::expert_load_frame(RunId id, std::optional<std::int64_t> step) const {
  return database_.read([&](db::Connection& c) {
    db::RunStore(c).get(id);
    std::optional<db::LoadFrame> frame = db::LoadStore(c).frame(id, step);
    if (!frame) {
      throw core::Error(core::ErrorKind::not_found,
                        "run " + std::to_string(id) + " has no expert load" + (step ? " at step " + std::to_string(*step) : ""));
    }
    ExpertLoadView view;
    view.total_frames = 1;
    add_frame(view, *std::move(frame));
    return view;
  });
}

ArtifactFile RunService::artifact(RunId id, const std::string& name) const {
  const std::filesystem::path directory = std::filesystem::weakly_canonical(run_dir(id));
  const std::vector<db::ArtifactRow> rows = database_.read([&](db::Connection& c) { return db::FileStore(c).artifacts(id); });
  for (const db::ArtifactRow& row : rows) {
    if (row.name != name) continue;
    const std::filesystem::path file = std::filesystem::weakly_canonical(directory / row.path);
    // A journal is written by a process that computes on foreign text: what it says is no key to the rest of the disk.
    const std::filesystem::path inside = file.lexically_relative(directory);
    if (inside.empty() || *inside.begin() == "..") {
      throw core::Error(core::ErrorKind::not_found, "The artifact '" + name + "' lies outside the run's directory and is not served.");
    }
    return {row.kind, file};
  }
  throw core::Error(core::ErrorKind::not_found, "Run " + std::to_string(id) + " has no artifact '" + name + "'.");
}

std::filesystem::path RunService::run_dir(RunId id) const {
  database_.read([&](db::Connection& c) { db::RunStore(c).get(id); });
  return HomePaths(home_).run(id);
}

std::filesystem::path RunService::log_file(RunId id) const {
  run_dir(id);
  return HomePaths(home_).log(id);
}

DevicesView RunService::devices() const {
  return devices_.view();
}

DeviceView RunService::enable_device(const std::string& id) {
  DeviceView view = devices_.enable(id);
  bus_.devices_changed();
  return view;
}

DeviceView RunService::disable_device(const std::string& id, const std::string& reason) {
  DeviceView view = devices_.disable(id, reason);
  bus_.devices_changed();
  return view;
}

HealthView RunService::health() const {
  HealthView view;
  view.version = version_;
  view.uptime_s = std::chrono::duration<double>(clock_.now() - started_at_).count();
  view.home = home_.string();
  view.runs = database_.read([](db::Connection& c) { return db::RunStore(c).count_by_state(); });
  for (const DeviceView& device : devices_.view().devices) {
    ++view.devices_total;
    if (device.state == "free") ++view.devices_free;
  }
  return view;
}

std::vector<ExperimentId> RunService::experiments_of(RunId id) const {
  return database_.read([&](db::Connection& c) { return db::ExperimentStore(c).experiments_of(id); });
}

}  // namespace moelab::server
