// The promises of the engine.
#include <SQLiteCpp/Statement.h>

#include <algorithm>
#include <utility>

#include "db/metric_store.h"
#include "server/queue_mode.h"
#include "tests/server/simulation/world.h"

namespace moelab::sim {

using namespace std::chrono_literals;
using core::RunState;

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
    if (worker->alive && worker->device == run.device)
      violated(who + " is launched on " + run.device + ", where run " + std::to_string(worker->run) + " lives");
  }
  const std::vector<Snapshot> runs = snapshots();
  note_results(runs);
  for (const std::string& key : read([&](db::Connection& c) { return db::RunStore(c).dependencies(run.id); })) {
    if (!has_result_.contains(key)) violated(who + " is launched before " + key + " has completed");
  }
  check_limits(run.id);
  check_admission(run, run.device);
  forced_.erase(run.id);
  if (verbose_) happened(who + " is launched on " + run.device);
  return run.device;
}

void World::check_admission(const db::RunRow& run, const std::string& device) {
  const std::string who = "run " + std::to_string(run.id) + " is launched ";
  const auto gpu = machine_.gpus.find(device);
  if (gpu != machine_.gpus.end() && gpu->second.read_as_unfit && !forced_.contains(run.id))
    violated(who + "on " + device + ", which was in use, gone, or not given back");
  if (run.resources.gpus && (*run.resources.gpus > 0) != (gpu != machine_.gpus.end()))
    violated(who + "on the wrong kind of device: " + device);
  const auto crash = machine_.crashed_at.find(run.id);
  if (crash != machine_.crashed_at.end() && !hurried_.contains(run.id) && clock_.steady() - crash->second < 1s)
    violated(who + "at once after its worker has crashed");
  hurried_.erase(run.id);
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
    if (!used.insert(worker->device).second) violated(worker->device + " has two workers");
    if (!core::is_live(run.state) || run.attempt != worker->attempt || run.device != worker->device)
      violated("a worker of run " + std::to_string(run.id) + " lives and was forgotten");
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
