#include "server/analysis/prune_watch.h"

#include <algorithm>
#include <set>
#include <string>

#include "db/daemon_state_store.h"
#include "db/metric_store.h"

namespace moelab::server {
namespace {

using core::RunState;

constexpr std::chrono::seconds kInterval{1};

std::string memory_of(db::ExperimentId experiment) {
  return "prune " + std::to_string(experiment);
}

// {"<run>": rungs passed}
std::map<std::int64_t, std::int64_t> rungs_from(const nlohmann::json& json) {
  std::map<std::int64_t, std::int64_t> rungs;
  if (!json.is_object()) return rungs;
  for (const auto& [run, passed] : json.items()) rungs[std::stoll(run)] = passed.get<std::int64_t>();
  return rungs;
}

nlohmann::json rungs_json(const std::map<std::int64_t, std::int64_t>& rungs) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [run, passed] : rungs) json[std::to_string(run)] = passed;
  return json;
}

// Experiments with a rule and a run that trains.
std::vector<db::ExperimentRow> experiments_at_work(db::Connection& c) {
  db::ExperimentStore experiments(c);
  std::vector<db::ExperimentRow> with_rule;
  for (db::ExperimentRow& row : experiments.all()) {
    if (!row.prune.empty()) with_rule.push_back(std::move(row));
  }
  if (with_rule.empty()) return {};
  std::set<db::ExperimentId> at_work;
  for (const db::RunRow& run : db::RunStore(c).in_states({RunState::running})) {
    for (const db::ExperimentId id : experiments.experiments_of(run.id)) at_work.insert(id);
  }
  std::erase_if(with_rule, [&](const db::ExperimentRow& row) { return !at_work.contains(row.id); });
  std::reverse(with_rule.begin(), with_rule.end());  // oldest first
  return with_rule;
}

// Nobody measures against it, and nobody else counts on it to go on.
bool is_expendable(db::Connection& c, const db::RunRow& run) {
  db::ExperimentStore experiments(c);
  if (experiments.is_baseline_of_others(run.id, run.key)) return false;
  const std::vector<db::MemberRow> listings = experiments.listings(run.id);
  return std::all_of(listings.begin(), listings.end(), [&](const db::MemberRow& listing) {
    return listing.baseline != listing.name && !experiments.get(listing.experiment_id).prune.empty();
  });
}

}  // namespace

std::vector<PruneVerdict> PruneWatch::look(std::chrono::nanoseconds steady) {
  if (looked_at_ && steady - *looked_at_ < kInterval) return {};
  looked_at_ = steady;
  std::vector<PruneVerdict> verdicts;
  std::set<std::int64_t> seen;
  const std::vector<db::ExperimentRow> at_work = database_.read(experiments_at_work);
  if (at_work.empty()) known_.clear();
  for (const db::ExperimentRow& experiment : at_work) {
    for (PruneVerdict& verdict : look_at(experiment)) {
      if (seen.insert(verdict.run).second) verdicts.push_back(std::move(verdict));
    }
  }
  return verdicts;
}

std::vector<PruneVerdict> PruneWatch::look_at(const db::ExperimentRow& experiment) {
  const core::PruneRule rule = core::prune_rule_from_json(nlohmann::json::parse(experiment.prune));
  std::map<std::int64_t, std::int64_t> rungs;
  const std::vector<RunProgress> runs = database_.read([&](db::Connection& c) {
    rungs = rungs_from(db::DaemonStateStore(c).get(memory_of(experiment.id)));
    std::vector<RunProgress> list;
    db::RunStore store(c);
    for (const db::MemberRow& member : db::ExperimentStore(c).members(experiment.id)) {
      const db::RunRow run = store.get(member.run_id);
      const bool listed_twice = std::any_of(list.begin(), list.end(), [&](const RunProgress& other) { return other.id == run.id; });
      if (run.attempt == 0 || listed_twice) continue;
      const auto passed = rungs.find(run.id);
      list.push_back({run.id, run.state == RunState::running && is_expendable(c, run), run.max_steps, points_of(c, run, rule.metric),
                      passed == rungs.end() ? 0 : passed->second});
    }
    return list;
  });
  PruneDecision decision = decide_pruning(rule, runs);
  if (decision.rungs_passed != rungs) {
    database_.write([&](db::Connection& c) { db::DaemonStateStore(c).set(memory_of(experiment.id), rungs_json(decision.rungs_passed)); });
  }
  return std::move(decision.ended);
}

const std::vector<std::pair<std::int64_t, double>>& PruneWatch::points_of(db::Connection& connection, const db::RunRow& run,
                                                                          const std::string& metric) {
  Known& known = known_[{run.id, metric}];
  const bool same = known.attempt == run.attempt && known.state == run.state;
  if (same && core::is_terminal(run.state)) return known.points;
  // Values of a running attempt only grow; around its start, those of the one before are cut back to where it went on.
  const bool grows = same && run.state == RunState::running;
  if (!grows) known = {run.attempt, run.state, {}};
  const std::int64_t from = known.points.empty() ? 0 : known.points.back().first + 1;
  for (const db::MetricPoint& point : db::MetricStore(connection).query(run.id, metric, from, 0).points)
    known.points.emplace_back(point.step, point.value);
  return known.points;
}

}  // namespace moelab::server
