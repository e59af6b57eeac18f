#include "server/view_builder.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "core/metric_catalog.h"
#include "db/metric_store.h"

namespace moelab::server {
namespace {

using core::RunState;

constexpr double kMsPerSecond = 1000;

// Per-layer and per-expert series have their own charts; in a list of runs they would bury the rest.
bool belongs_in_summary(const std::string& name) {
  static thread_local std::unordered_map<std::string, bool> known;
  const auto [entry, is_new] = known.try_emplace(name, true);
  if (is_new) entry->second = !core::is_per_part(name);
  return entry->second;
}

double seconds(std::chrono::system_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

double progress_of(const db::RunRow& run) {
  if (run.state == RunState::completed) return 1;
  return run.max_steps > 0 ? std::clamp(static_cast<double>(run.step) / static_cast<double>(run.max_steps), 0.0, 1.0) : 0;
}

// Steps a second of the living attempt, evaluations and checkpoints included; 0 when it cannot be told yet.
double pace_of(const db::RunRow& run) {
  if (run.state != RunState::running || !run.pace_step || !run.pace_time || !run.step_time || run.step <= *run.pace_step) return 0;
  const double elapsed_s = seconds(*run.step_time - *run.pace_time);
  return elapsed_s > 0 ? static_cast<double>(run.step - *run.pace_step) / elapsed_s : 0;
}

std::optional<double> eta_of(const db::RunRow& run) {
  const double pace = pace_of(run);
  if (pace <= 0 || run.max_steps <= 0) return std::nullopt;
  return static_cast<double>(std::max<std::int64_t>(0, run.max_steps - run.step)) / pace;
}

double runtime_of(const db::RunRow& run, core::TimePoint now) {
  const double ended_s = static_cast<double>(run.runtime_ms) / kMsPerSecond;
  return run.attempt_started_at ? ended_s + std::max(0.0, seconds(now - *run.attempt_started_at)) : ended_s;
}

KnobValues knobs_of(const nlohmann::json& varied) {
  KnobValues values;
  for (const nlohmann::json& pair : varied) values.emplace_back(pair.at(0).get<std::string>(), pair.at(1));
  return values;
}

// What a run still has to do, in FLOPs; in equal parts while the corpus has not told the number of tokens.
double work_of(const db::RunRow& run) {
  return run.tokens > 0 && run.flops_per_token > 0 ? run.tokens * run.flops_per_token : 1;
}

// From the pace of what trains now to all that is left, as if the queue went on with as many devices.
std::optional<double> experiment_eta(const std::vector<db::ListedRun>& members) {
  double left = 0, rate = 0;
  for (const db::ListedRun& m : members) {
    if (core::is_terminal(m.run.state)) continue;
    left += work_of(m.run) * (1 - progress_of(m.run));
    if (m.run.max_steps > 0) rate += work_of(m.run) * pace_of(m.run) / static_cast<double>(m.run.max_steps);
  }
  return rate > 0 ? std::optional(left / rate) : std::nullopt;
}

std::string experiment_state(const std::vector<db::ListedRun>& members) {
  const auto any = [&](auto&& test) {
    return std::any_of(members.begin(), members.end(), [&](const db::ListedRun& m) { return test(m.run.state); });
  };
  const bool queued = any([](RunState s) { return s == RunState::queued; });
  const bool ended = any(core::is_terminal);
  if (any(core::is_live) || (queued && ended)) return "running";
  if (queued) return "queued";
  if (any([](RunState s) { return s == RunState::paused; })) return "paused";  // all that has not ended is
  if (any([](RunState s) { return core::is_terminal(s) && s != RunState::completed && s != RunState::pruned && s != RunState::cancelled; }))
    return "failed";
  return any([](RunState s) { return s == RunState::cancelled; }) ? "cancelled" : "completed";
}

}  // namespace

std::map<std::string, double> ViewBuilder::summary(RunId id) {
  std::map<std::string, double> values = db::MetricStore(connection_).latest(id);
  std::erase_if(values, [](const auto& entry) { return !belongs_in_summary(entry.first); });
  return values;
}

RunView ViewBuilder::run(const db::ListedRun& listed) {
  const db::RunRow& r = listed.run;
  RunView v;
  v.id = r.id;
  v.key = r.key;
  v.name = r.name;
  v.matrix = r.matrix;
  for (const db::MemberRow& m : db::ExperimentStore(connection_).listings(r.id))
    v.aliases.push_back({m.experiment_id, m.experiment, m.name});
  if (listed.member) {
    v.name = listed.member->name;
    v.experiment = listed.member->experiment;
    v.experiment_id = listed.member->experiment_id;
    v.baseline = listed.member->baseline;
    v.is_baseline = listed.member->baseline_key == v.key;
    v.tags = listed.member->tags;
    v.varied = knobs_of(listed.member->varied);
  }
  v.state = r.state;
  v.reason = r.reason;
  if (r.state == RunState::queued || r.state == RunState::starting) v.waiting = reasons_.of(r.id);
  if (r.exit_code) v.exit_code = static_cast<int>(*r.exit_code);
  if (r.signal) v.signal = static_cast<int>(*r.signal);
  v.attempt = r.attempt;
  v.restarts = r.restarts;
  v.step = r.step;
  v.max_steps = r.max_steps;
  v.progress = progress_of(r);
  v.eta_s = eta_of(r);
  if (!r.phase.empty()) v.phase = PhaseView{r.phase, r.phase_done, r.phase_total};
  v.metrics = summary(r.id);
  v.device = r.device;
  if (r.process) v.pid = r.process->pid;
  v.priority = r.priority;
  v.archived = r.archived;
  v.seed = r.seed;
  v.total_parameters = r.total_parameters;
  v.active_parameters = r.active_parameters;
  v.flops_per_token = r.flops_per_token;
  v.tokens = r.tokens;
  v.queued_at = r.queued_at;
  v.started_at = r.started_at;
  v.finished_at = r.finished_at;
  v.runtime_s = runtime_of(r, now_);
  return v;
}

RunView ViewBuilder::run(RunId id) {
  db::ListedRun listed{db::RunStore(connection_).get(id), std::nullopt};
  std::vector<db::MemberRow> listings = db::ExperimentStore(connection_).listings(id);
  if (!listings.empty()) listed.member = std::move(listings.front());
  return run(listed);
}

std::vector<RunView> ViewBuilder::runs(const std::vector<db::ListedRun>& listed) {
  std::vector<RunView> views;
  views.reserve(listed.size());
  for (const db::ListedRun& one : listed) views.push_back(run(one));
  return views;
}

std::vector<db::ListedRun> ViewBuilder::members(ExperimentId id) {
  db::RunFilter filter;
  filter.experiment = id;
  filter.limit = std::numeric_limits<std::int64_t>::max();
  filter.archived = true;
  return db::list_runs(connection_, filter).runs;
}

ExperimentView ViewBuilder::experiment(const db::ExperimentRow& row) {
  const std::vector<db::ListedRun> list = members(row.id);
  ExperimentView v;
  v.id = row.id;
  v.name = row.name;
  v.matrix = row.matrix;
  v.profile = row.profile;
  v.notes = row.notes;
  v.tags = row.tags;
  v.baseline = row.baseline;
  v.created_at = row.created_at;
  v.source = row.source;
  v.state = experiment_state(list);
  v.total = static_cast<std::int64_t>(list.size());
  v.archived = !list.empty() && std::all_of(list.begin(), list.end(), [](const db::ListedRun& m) { return m.run.archived; });
  v.eta_s = experiment_eta(list);
  for (const RunState state : core::all_run_states()) v.counts[core::to_string(state)] = 0;
  for (const db::ListedRun& m : list) {
    ++v.counts[core::to_string(m.run.state)];
    v.progress += core::is_terminal(m.run.state) ? 1 : progress_of(m.run);
  }
  if (!list.empty()) v.progress /= static_cast<double>(list.size());  // once: six sixths are less than one
  return v;
}

std::optional<double> ViewBuilder::value_of(const std::string& key, const std::string& metric) {
  const std::optional<RunId> id = db::RunStore(connection_).find_by_key(key);
  if (!id) return std::nullopt;
  const std::map<std::string, double> values = summary(*id);
  const auto found = values.find(metric);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

ResultTable ViewBuilder::results(const db::ExperimentRow& row, bool archived) {
  ResultTable table;
  table.baseline = row.baseline;
  for (const db::ListedRun& listed : members(row.id)) {
    if (listed.run.archived && !archived) continue;
    const RunView v = run(listed);
    ResultRow r{v.name,  v.id, v.state, v.seed, v.is_baseline, v.metrics, {}, {}, v.runtime_s, v.total_parameters, v.active_parameters,
                v.varied};
    const auto own = r.values.find(table.metric);
    const std::optional<double> base = value_of(listed.member->baseline_key, table.metric);
    if (own != r.values.end() && base) {
      r.delta = own->second - *base;
      if (*base != 0) r.delta_pct = 100 * *r.delta / *base;
    }
    table.rows.push_back(std::move(r));
  }
  return table;
}

}  // namespace moelab::server
