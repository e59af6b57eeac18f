// The promises of the engine.
#include <SQLiteCpp/Statement.h>

#include <algorithm>
#include <utility>

#include "db/device_store.h"
#include "db/metric_store.h"
#include "server/outcome.h"
#include "server/queue_mode.h"
#include "tests/server/simulation/world.h"

namespace moelab::sim {

using namespace std::chrono_literals;
using core::RunState;

namespace {

constexpr std::chrono::seconds kReleasePatience{30};
constexpr int kTicksAstray = 3;  // a commit may be refused at some of them

}  // namespace

void World::violated(const std::string& promise) const {
  throw Violation{"round " + std::to_string(steps_) + ": " + promise};
}

std::vector<World::Snapshot> World::snapshots() {
  return read([](db::Connection& c) {
    std::vector<Snapshot> list;
    SQLite::Statement& row = c.prepare("SELECT id, key, state, coalesce(device, ''), attempt, restarts FROM runs ORDER BY id");
    while (row.executeStep()) {
      list.push_back({row.getColumn(0).getInt64(), row.getColumn(1).getString(), core::run_state_from(row.getColumn(2).getString()),
                      row.getColumn(3).getString(), row.getColumn(4).getInt(), row.getColumn(5).getInt()});
    }
    row.reset();
    return list;
  });
}

bool World::all_ended() {
  const std::vector<Snapshot> runs = snapshots();
  return std::all_of(runs.begin(), runs.end(), [](const Snapshot& run) { return core::is_terminal(run.state); });
}

std::string World::check_launch(const server::LaunchRequest& request) {
  const std::string who = "run " + std::to_string(request.run_id) + " attempt " + std::to_string(request.attempt);
  const auto [run, mode] = read([&](db::Connection& c) {
    return std::pair(db::RunStore(c).get(request.run_id), server::read_queue_mode(c));
  });
  if (!launched_.emplace(request.run_id, request.attempt).second) violated(who + " is launched twice");
  const int last = std::exchange(last_attempt_[request.run_id], request.attempt);
  if (request.attempt <= last) violated(who + " comes after attempt " + std::to_string(last));
  if (run.state != RunState::starting || run.attempt != request.attempt || run.device.empty())
    violated(who + " is launched before the database knows: it is " + core::to_string(run.state));
  if (mode.kind != server::QueueMode::Kind::open) violated(who + " is launched while the queue is " + server::to_string(mode.kind));
  if (unwanted_.contains(run.id)) violated(who + " is launched after it was cancelled or paused");
  if (done_.contains(run.id)) violated(who + " is launched after it had completed");
  for (const auto& worker : machine_.workers()) {
    if (worker->alive && worker->run == run.id) violated(who + " is launched while attempt " + std::to_string(worker->attempt) + " lives");
    if (worker->alive && worker->device == run.device && !(worker->shares && resources_of(run.key).share_gpu))
      violated(who + " is launched on " + run.device + ", where run " + std::to_string(worker->run) + " lives");
  }
  const std::vector<Snapshot> runs = snapshots();
  note_results(runs);
  for (const std::string& key : read([&](db::Connection& c) { return db::RunStore(c).dependencies(run.id); })) {
    if (!has_result_.contains(key)) violated(who + " is launched before " + key + " has completed");
  }
  check_limits(run.id);
  check_admission(run, runs);
  forced_.erase(run.id);
  if (verbose_) happened(who + " is launched on " + run.device);
  return run.device;
}

void World::check_admission(const db::RunRow& run, const std::vector<Snapshot>& runs) {
  const std::string who = "run " + std::to_string(run.id) + " is launched ";
  const auto gpu = machine_.gpus.find(run.device);
  if (run.resources.gpus && (*run.resources.gpus > 0) != (gpu != machine_.gpus.end()))
    violated(who + "on the wrong kind of device: " + run.device);
  if (gpu != machine_.gpus.end()) check_packing(run, runs);
  const auto crash = machine_.crashed_at.find(run.id);
  const auto back_off = server::backoff(std::max(1, run.restarts));
  if (crash != machine_.crashed_at.end() && !hurried_.contains(run.id) && !clock_lost_ && clock_.steady() - crash->second < back_off)
    violated(who + "before its back-off after a crash is over");
  hurried_.erase(run.id);
}

// Alone on a GPU that was fit when it was read; or beside others that share, with room for what all of them need.
void World::check_packing(const db::RunRow& run, const std::vector<Snapshot>& runs) {
  const std::string who = "run " + std::to_string(run.id) + " is launched on " + run.device;
  const Gpu& gpu = machine_.gpus.at(run.device);
  crowded_.erase(run.id);
  if (gpu.used_by_others || gpu.leaked_mb > 0 || gpu.read_as_unfit) crowded_.insert(run.id);
  if (forced_.contains(run.id)) return;
  const auto health = read([](db::Connection& c) { return db::DeviceStore(c).all(); });
  if (const auto row = health.find(run.device); row != health.end() && row->second.quarantined_until && *row->second.quarantined_until > clock_.now())
    violated(who + ", which is in quarantine");
  double needed_mb = resources_of(run.key).memory_gb.value_or(0) * 1024;
  bool alone = true;
  for (const Snapshot& other : runs) {
    if (other.id == run.id || !other.live() || other.device != run.device) continue;
    alone = false;
    needed_mb += resources_of(other.key).memory_gb.value_or(0) * 1024;
    if (!resources_of(other.key).share_gpu || !resources_of(other.key).memory_gb || !resources_of(run.key).memory_gb)
      violated(who + ", which run " + std::to_string(other.id) + " does not share");
  }
  if (alone) {
    if (gpu.read_as_unfit) violated(who + ", which was in use, gone, or not given back");
    return;
  }
  happened("a GPU is shared");
  if (needed_mb > kGpuMemoryMb) violated(who + " where " + std::to_string(needed_mb) + " MB are needed");
}

const core::ResourceConfig& World::resources_of(const std::string& key) const {
  const auto found = std::find_if(pool_.begin(), pool_.end(), [&](const core::PlannedRun& run) { return run.spec.key == key; });
  return found->spec.config.resources;
}

void World::check_terminate(const Worker& worker) {
  const db::RunRow run = read([&](db::Connection& c) { return db::RunStore(c).get(worker.run); });
  const std::string who = "run " + std::to_string(run.id);
  if (!run.stop_intent) violated(who + " is asked to leave for no reason");
  if (run.stop_intent == db::StopIntent::prune) check_pruned(run.id);
  const std::chrono::seconds limit(run.resources.timeout_s);
  if (run.stop_intent == db::StopIntent::timeout && !clock_lost_ && machine_.lived(run.id) + 1s < limit)
    violated(who + " has lived for " + std::to_string(machine_.lived(run.id) / 1ms) + " ms and is stopped for its time limit");
}

// The baseline, and a run that an experiment without a rule lists, go on.
void World::check_pruned(std::int64_t id) {
  for (const db::MemberRow& listing : read([&](db::Connection& c) { return db::ExperimentStore(c).listings(id); })) {
    const std::string key = "key-" + listing.name;
    if (submitted_at_[key] > steps_ - 3) return;  // another experiment may have listed it since it was decided
    if (listing.experiment == "e0") violated("run " + std::to_string(id) + " is pruned although e0 lists it too");
    if (listing.name == listing.baseline) violated("run " + std::to_string(id) + " is pruned, and it is the baseline");
  }
  happened("a run is pruned");
}

void World::check_kill(const Worker& worker) {
  const db::RunRow run = read([&](db::Connection& c) { return db::RunStore(c).get(worker.run); });
  using enum db::StopIntent;
  if (run.stop_intent == kill || run.stop_intent == hang || run.stop_intent == misplaced || clock_lost_) return;
  const std::string who = "run " + std::to_string(run.id);
  if (!worker.asked_at) violated(who + " is killed and was never asked to leave");
  if (clock_.steady() - *worker.asked_at < kGrace) violated(who + " is killed before its grace is over");
}

void World::check_limits(std::int64_t launched) {
  for (const db::ExperimentRow& experiment : read([&](db::Connection& c) { return db::ExperimentStore(c).all(); })) {
    if (experiment.max_concurrent == 0) continue;
    const auto [lists_it, live] = read([&](db::Connection& c) {
      std::set<std::int64_t> live_members;
      bool found = false;
      for (const db::MemberRow& member : db::ExperimentStore(c).members(experiment.id)) {
        found = found || member.run_id == launched;
        if (core::is_live(db::RunStore(c).get(member.run_id).state)) live_members.insert(member.run_id);
      }
      return std::pair(found, static_cast<int>(live_members.size()));
    });
    if (lists_it && live > experiment.max_concurrent)
      violated(experiment.name + " runs " + std::to_string(live) + " at once, more than its max_concurrent");
  }
}

void World::note_results(const std::vector<Snapshot>& runs) {
  for (const Snapshot& run : runs) {
    if (run.state == RunState::completed || run.state == RunState::pruned) has_result_.insert(run.key);
  }
}

void World::check_round() {
  const std::vector<Snapshot> runs = snapshots();
  note_results(runs);
  std::set<std::string> keys;
  std::map<std::int64_t, const Snapshot*> by_id;
  for (const Snapshot& run : runs) {
    keys.insert(run.key);
    by_id[run.id] = &run;
    if (run.state == RunState::completed && done_.insert(run.id).second && !machine_.completed.contains({run.id, run.attempt}))
      violated("run " + std::to_string(run.id) + " is completed, but its worker never said so");
    const auto crashes = machine_.crashes.find(run.id);
    if (run.restarts > (crashes == machine_.crashes.end() ? 0 : crashes->second))
      violated("run " + std::to_string(run.id) + " is charged for a restart although its worker has not crashed");
    if (core::is_live(run.state) == run.device.empty())
      violated("run " + std::to_string(run.id) + " is " + core::to_string(run.state) + " with device '" + run.device + "'");
  }
  if (keys != submitted_ || keys.size() != runs.size())
    violated("there are " + std::to_string(runs.size()) + " runs where " + std::to_string(submitted_.size()) + " were submitted");
  std::set<std::string> used;
  for (const auto& worker : machine_.workers()) {
    if (!worker->alive || !worker->released) continue;
    const Snapshot& run = *by_id.at(worker->run);
    if (!used.insert(worker->device).second && !worker->shares) violated(worker->device + " has two workers");
    if (!core::is_live(run.state) || run.attempt != worker->attempt || run.device != worker->device)
      violated("a worker of run " + std::to_string(run.id) + " lives and was forgotten");
  }
  check_given_back(runs);
  before_ = runs;
}

// Who computes on a GPU that is not its own is stopped as soon as that is seen.
void World::check_astray(const std::vector<Worker*>& astray) {
  for (Worker* worker : astray) {
    const RunState state = read([&](db::Connection& c) { return db::RunStore(c).get(worker->run).state; });
    if (!worker->alive || state == RunState::stopping || machine_.gpus.at(worker->device).lost) continue;
    if (++worker->ticks_astray >= kTicksAstray)
      violated("run " + std::to_string(worker->run) + " computes on " + worker->seat + " and not on " + worker->device);
  }
}

// A lease outlives its worker until the memory is back, or for as long as patience has.
void World::check_given_back(const std::vector<Snapshot>& runs) {
  for (const Snapshot& was : before_) {
    const auto gpu = machine_.gpus.find(was.device);
    if (!was.live() || gpu == machine_.gpus.end() || gpu->second.leaked_by != was.id || gpu->second.leaked_mb == 0 || gpu->second.lost) continue;
    const auto is_on_it = [&](const Snapshot& r) { return r.id != was.id && r.live() && r.device == was.device; };
    const auto now = std::find_if(runs.begin(), runs.end(), [&](const Snapshot& r) { return r.id == was.id; });
    if (now != runs.end() && now->live() && now->attempt == was.attempt) continue;
    if (crowded_.contains(was.id) || clock_lost_ || std::any_of(runs.begin(), runs.end(), is_on_it)) continue;
    if (clock_.steady() - gpu->second.leaked_at < kReleasePatience)
      violated(was.device + " is taken from run " + std::to_string(was.id) + " before its memory is back");
  }
}

void World::check_end() {
  for (const db::RunRow& run : read([](db::Connection& c) { return db::RunStore(c).in_states(core::all_run_states()); })) {
    if (!core::is_terminal(run.state))
      violated("run " + std::to_string(run.id) + " never ends: it is " + core::to_string(run.state) + ", " + reasons_.of(run.id));
    ++coverage_.ends[core::to_string(run.state)];
    if (unwanted_.contains(run.id) && run.state == RunState::queued) violated("run " + std::to_string(run.id) + " came back to the queue");
    check_history(run);
  }
}

World::Curves World::curves() {
  Curves curves;
  for (const Snapshot& run : snapshots()) {
    std::vector<double>& curve = curves[{run.id, run.key}];
    if (run.state != RunState::completed) continue;
    for (const db::MetricPoint& p : read([&](db::Connection& c) { return db::MetricStore(c).query(run.id, "train/loss", 0, 0).points; }))
      curve.push_back(p.value);
  }
  return curves;
}

// Only legal transitions in an unbroken chain; no step of the curve missing, doubled or of a rewound tail.
void World::check_history(const db::RunRow& run) {
  const std::string who = "run " + std::to_string(run.id);
  std::string last;
  for (const db::RunEventRow& e : read([&](db::Connection& c) { return db::RunStore(c).events(run.id); })) {
    if (e.from != last) violated(who + " went on from " + e.from + " after it had become " + last);
    const bool is_note = e.from == e.to && e.to == core::to_string(RunState::queued);  // a person's force
    if (!e.from.empty() && !is_note && !core::is_legal(core::run_state_from(e.from), core::run_state_from(e.to)))
      violated(who + " went from " + e.from + " to " + e.to);
    last = e.to;
  }
  if (last != core::to_string(run.state)) violated(who + " is " + core::to_string(run.state) + ", its history says " + last);
  const auto points = read([&](db::Connection& c) { return db::MetricStore(c).query(run.id, "train/loss", 0, 0).points; });
  if (run.state == RunState::completed && points.size() != kMaxSteps)
    violated(who + " has completed with " + std::to_string(points.size()) + " steps of " + std::to_string(kMaxSteps));
  std::int64_t expected = 1;
  int attempt = 1;
  for (const db::MetricPoint& p : points) {
    if (p.step != expected++) violated(who + " has no step " + std::to_string(expected - 1));
    const int of_point = static_cast<int>(p.value) / 100;
    if (of_point < attempt) violated(who + " keeps a rewound step " + std::to_string(p.step));
    attempt = of_point;
  }
}

}  // namespace moelab::sim
