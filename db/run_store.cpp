#include "db/run_store.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "db/run_row.h"

namespace moelab::db {
namespace {

constexpr std::array<const char*, 9> kIntents{"shutdown", "drain", "hang", "prune", "timeout", "misplaced", "pause", "cancel", "kill"};

StopIntent stop_intent_from(const std::string& name) {
  for (std::size_t i = 0; i < kIntents.size(); ++i) {
    if (name == kIntents[i]) return static_cast<StopIntent>(i);
  }
  throw core::Error(core::ErrorKind::storage, "the database holds an unknown stop intent '" + name + "'");
}

}  // namespace

std::string to_string(StopIntent intent) {
  return kIntents[static_cast<std::size_t>(intent)];
}

RunRow read_run(const Statement& row) {
  RunRow r;
  int c = 0;
  r.id = row.integer(c++);
  r.key = row.text(c++);
  r.matrix = row.text(c++);
  r.name = row.text(c++);
  r.seed = row.integer(c++);
  r.total_parameters = row.integer(c++);
  r.active_parameters = row.integer(c++);
  r.flops_per_token = row.real(c++);
  r.tokens = row.real(c++);
  r.priority = row.small(c++);
  r.resources.gpus = row.maybe_integer(c++);
  r.resources.timeout_s = row.integer(c++);
  r.resources.max_restarts = row.integer(c++);
  r.waits_for = row.text(c++);
  r.state = row.state(c++);
  r.reason = row.text(c++);
  r.exit_code = row.maybe_integer(c++);
  r.signal = row.maybe_integer(c++);
  r.attempt = row.small(c++);
  r.restarts = row.small(c++);
  r.fresh = row.boolean(c++);
  r.not_before = row.maybe_time(c++);
  r.step = row.integer(c++);
  r.max_steps = row.integer(c++);
  r.phase = row.text(c++);
  r.phase_done = row.integer(c++);
  r.phase_total = row.integer(c++);
  r.pace_step = row.maybe_integer(c++);
  r.pace_time = row.maybe_time(c++);
  r.step_time = row.maybe_time(c++);
  r.device = row.text(c++);
  const std::optional<std::int64_t> pid = row.maybe_integer(c++);
  if (pid) r.process = ProcessIdentity{*pid, row.integer(c), row.text(c + 1)};
  c += 2;
  if (!row.is_null(c)) r.stop_intent = stop_intent_from(row.text(c));
  ++c;
  r.stop_deadline = row.maybe_time(c++);
  r.queued_at = row.time(c++);
  r.started_at = row.maybe_time(c++);
  r.attempt_started_at = row.maybe_time(c++);
  r.finished_at = row.maybe_time(c++);
  r.runtime_ms = row.integer(c++);
  r.resources.memory_gb = row.maybe_real(c++);
  r.resources.share_gpu = row.boolean(c++);
  r.resources.hang_timeout_s = row.integer(c++);
  r.resources.halve_on_oom = row.boolean(c++);
  r.resources.launcher = row.text(c++);
  r.lease_shared = row.boolean(c++);
  r.forced_device = row.text(c++);
  r.gone_at = row.maybe_time(c++);
  r.stop_reason = row.text(c++);
  r.micro_batch_divisor = row.integer(c++);
  r.memory_key = row.text(c++);
  r.archived = row.boolean(c++);
  r.on_gpu = row.maybe_boolean(c++);
  r.forgiven_ms = row.integer(c++);
  return r;
}

RunId RunStore::insert(const NewRun& run, core::TimePoint now) {
  Statement row(
      connection_,
      "INSERT INTO runs (id, key, matrix, name, spec, seed, total_parameters, active_parameters, flops_per_token, tokens, max_steps, "
      "priority, gpus, timeout_s, max_restarts, memory_gb, share_gpu, hang_timeout_s, halve_on_oom, launcher, waits_for, memory_key, state, "
      "queued_ms) "
      "VALUES (nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), ?, ?, ?) "
      "RETURNING id",
      run.id, run.key, run.matrix, run.name, run.spec.dump(), run.seed, run.total_parameters, run.active_parameters, run.flops_per_token,
      run.tokens, run.max_steps, run.priority, run.resources.gpus, run.resources.timeout_s, run.resources.max_restarts,
      run.resources.memory_gb, run.resources.share_gpu, run.resources.hang_timeout_s, run.resources.halve_on_oom, run.resources.launcher,
      run.waits_for, run.memory_key, core::RunState::queued, now);
  row.step();
  const RunId id = row.integer(0);
  set_dependencies(id, run.depends_on);
  record(id, "", core::RunState::queued, "submitted", now);
  return id;
}

std::optional<RunId> RunStore::find_by_key(const std::string& key) {
  Statement row(connection_, "SELECT id FROM runs WHERE key = ?", key);
  return row.step() ? std::optional(row.integer(0)) : std::nullopt;
}

std::optional<RunRow> RunStore::find(RunId id) {
  Statement row(connection_, std::string("SELECT ") + kRunColumns + " FROM runs r WHERE r.id = ?", id);
  return row.step() ? std::optional(read_run(row)) : std::nullopt;
}

RunRow RunStore::get(RunId id) {
  std::optional<RunRow> run = find(id);
  if (!run) throw core::Error(core::ErrorKind::not_found, "there is no run " + std::to_string(id) + "; `moelab ls` lists them");
  return *std::move(run);
}

std::vector<RunRow> RunStore::in_states(const std::vector<core::RunState>& states) {
  std::vector<RunRow> runs;
  for (const core::RunState state : states) {
    Statement row(connection_, std::string("SELECT ") + kRunColumns + " FROM runs r WHERE r.state = ? ORDER BY r.id", state);
    while (row.step()) runs.push_back(read_run(row));
  }
  return runs;
}

std::vector<Unmet> RunStore::unmet_dependencies() {
  return read_unmet("o.state NOT IN ('completed', 'pruned')");
}

std::vector<Unmet> RunStore::failed_dependencies() {
  std::string ended;
  for (const core::RunState state : core::all_run_states()) {
    if (!core::is_terminal(state) || state == core::RunState::completed || state == core::RunState::pruned) continue;
    ended += (ended.empty() ? "'" : ", '") + core::to_string(state) + "'";
  }
  return read_unmet("o.state IN (" + ended + ")");
}

std::vector<Unmet> RunStore::read_unmet(const std::string& condition) {
  std::vector<Unmet> list;
  Statement row(connection_,
                "SELECT d.run_id, o.id, o.name, o.state FROM dependencies d JOIN runs r ON r.id = d.run_id LEFT JOIN runs o ON o.key = d.key "
                "WHERE r.state = ? AND (o.id IS NULL OR " + condition + ") ORDER BY d.run_id, o.id",
                core::RunState::queued);
  while (row.step()) {
    Unmet unmet{row.integer(0), row.maybe_integer(1), row.text(2), core::RunState::queued};
    if (unmet.on) unmet.state = row.state(3);
    list.push_back(std::move(unmet));
  }
  return list;
}

std::vector<std::string> RunStore::dependencies(RunId id) {
  std::vector<std::string> keys;
  Statement row(connection_, "SELECT key FROM dependencies WHERE run_id = ? ORDER BY key", id);
  while (row.step()) keys.push_back(row.text(0));
  return keys;
}

void RunStore::set_dependencies(RunId id, const std::vector<std::string>& keys) {
  Statement(connection_, "DELETE FROM dependencies WHERE run_id = ?", id).run();
  Statement insert(connection_, "INSERT OR IGNORE INTO dependencies (run_id, key) VALUES (?, ?)");
  for (const std::string& key : keys) {
    insert.bind_all(id, key);
    insert.run();
  }
}

nlohmann::json RunStore::spec(RunId id) {
  Statement row(connection_, "SELECT spec FROM runs WHERE id = ?", id);
  if (!row.step()) throw core::Error(core::ErrorKind::not_found, "there is no run " + std::to_string(id));
  return nlohmann::json::parse(row.text(0));
}

std::map<std::string, std::int64_t> RunStore::count_by_state() {
  std::map<std::string, std::int64_t> counts;
  for (const core::RunState state : core::all_run_states()) counts[core::to_string(state)] = 0;
  Statement row(connection_, "SELECT state, count(*) FROM runs GROUP BY state");
  while (row.step()) counts[row.text(0)] = row.integer(1);
  return counts;
}

std::vector<RunEventRow> RunStore::events(RunId id) {
  std::vector<RunEventRow> events;
  Statement row(connection_, "SELECT time_ms, from_state, to_state, reason FROM run_events WHERE run_id = ? ORDER BY id", id);
  while (row.step()) events.push_back({row.time(0), row.text(1), row.text(2), row.text(3)});
  return events;
}

void RunStore::raise_priority(RunId id, int priority) {
  Statement(connection_, "UPDATE runs SET priority = max(priority, ?) WHERE id = ?", priority, id).run();
}

void RunStore::update_spec(RunId id, const nlohmann::json& spec, const Resources& resources) {
  Statement(connection_,
            "UPDATE runs SET spec = ?, gpus = ?, timeout_s = ?, max_restarts = ?, memory_gb = ?, share_gpu = ?, hang_timeout_s = ?, "
            "halve_on_oom = ?, launcher = ? WHERE id = ?",
            spec.dump(), resources.gpus, resources.timeout_s, resources.max_restarts, resources.memory_gb, resources.share_gpu,
            resources.hang_timeout_s, resources.halve_on_oom, resources.launcher, id)
      .run();
}

void RunStore::set_priority(RunId id, int priority) {
  Statement(connection_, "UPDATE runs SET priority = ? WHERE id = ?", priority, id).run();
}

void RunStore::force(RunId id, const std::string& device, core::TimePoint now) {
  const RunRow run = get(id);
  if (run.state != core::RunState::queued) {
    throw core::Error(core::ErrorKind::conflict,
                      "run " + std::to_string(id) + " is " + core::to_string(run.state) + ": only a queued run can be forced onto a device");
  }
  Statement(connection_, "UPDATE runs SET forced_device = ?, not_before_ms = NULL WHERE id = ?", device, id).run();
  record(id, core::to_string(run.state), run.state, "to be started on " + (device == kAnyDevice ? "any device" : device) + " by force", now);
}

int RunStore::begin_attempt(RunId id, const LeaseRequest& lease, core::TimePoint now) {
  const RunRow run = get(id);
  Statement(connection_,
            "UPDATE runs SET attempt = attempt + 1, device = ?, lease_shared = ?, forced_device = NULL, fresh = 0, not_before_ms = NULL, "
            "exit_code = NULL, signal = NULL, started_ms = coalesce(started_ms, ?), attempt_ms = ?, pace_step = NULL, pace_ms = NULL, "
            "step_ms = NULL, on_gpu = coalesce(on_gpu, ?) WHERE id = ?",
            lease.device, lease.shared, now, now, lease.on_gpu, id)
      .run();
  // Last, so that the notice of it shows the new attempt and its device.
  transition(run, core::RunState::starting, lease.note.empty() ? lease.device : lease.note, now);
  Statement(connection_, "INSERT INTO attempts (run_id, attempt) VALUES (?, ?)", id, run.attempt + 1).run();
  return run.attempt + 1;
}

void RunStore::set_process(RunId id, const ProcessIdentity& process) {
  Statement(connection_, "UPDATE runs SET pid = ?, process_start = ?, boot_id = ? WHERE id = ?", process.pid, process.start_ticks,
            process.boot_id, id)
      .run();
}

void RunStore::mark_running(RunId id, core::TimePoint now) {
  const RunRow run = get(id);
  if (run.state == core::RunState::starting) transition(run, core::RunState::running, "", now);
}

void RunStore::request_stop(RunId id, StopIntent intent, const std::string& reason, core::TimePoint now) {
  const RunRow run = get(id);
  if (run.state == core::RunState::stopping) {
    if (run.stop_intent && *run.stop_intent >= intent) return;
  } else {
    transition(run, core::RunState::stopping, reason.empty() ? to_string(intent) : reason, now);
  }
  Statement(connection_, "UPDATE runs SET stop_intent = ?, stop_reason = ? WHERE id = ?", to_string(intent), reason, id).run();
}

void RunStore::set_gone(RunId id, std::optional<int> code, std::optional<int> signal, core::TimePoint now) {
  Statement(connection_, "UPDATE runs SET gone_ms = ?, exit_code = ?, signal = ? WHERE id = ?", now, code, signal, id).run();
}

void RunStore::shift_deadlines(std::chrono::milliseconds by) {
  Statement(connection_,
            "UPDATE runs SET not_before_ms = not_before_ms + ?1, stop_deadline_ms = stop_deadline_ms + ?1, attempt_ms = attempt_ms + ?1, "
            "gone_ms = gone_ms + ?1, pace_ms = pace_ms + ?1 WHERE not_before_ms IS NOT NULL OR attempt_ms IS NOT NULL",
            by.count())
      .run();
}

void RunStore::set_stop_deadline(RunId id, core::TimePoint deadline) {
  Statement(connection_, "UPDATE runs SET stop_deadline_ms = ? WHERE id = ?", deadline, id).run();
}

void RunStore::end_attempt(RunId id, const AttemptEnd& end, core::TimePoint now) {
  const RunRow run = get(id);
  if (!core::is_live(run.state)) {
    throw core::Error(core::ErrorKind::internal,
                      "run " + std::to_string(id) + " has no attempt to end: it is " + core::to_string(run.state));
  }
  transition(run, end.to, end.reason, now);
  const bool terminal = core::is_terminal(end.to);
  const std::int64_t until_ms = to_ms(end.worked_until.value_or(now));
  const std::int64_t lived_ms = run.attempt_started_at ? std::max<std::int64_t>(0, until_ms - to_ms(*run.attempt_started_at)) : 0;
  Statement(connection_,
            "UPDATE runs SET device = NULL, lease_shared = 0, gone_ms = NULL, pid = NULL, process_start = NULL, boot_id = NULL, "
            "stop_intent = NULL, stop_reason = '', stop_deadline_ms = NULL, attempt_ms = NULL, phase = NULL, runtime_ms = runtime_ms + ?, "
            "exit_code = ?, signal = ?, restarts = restarts + ?, micro_batch_divisor = ?, not_before_ms = ?, finished_ms = ? WHERE id = ?",
            lived_ms, end.exit_code, end.signal, end.counts_as_restart ? 1 : 0, end.micro_batch_divisor.value_or(run.micro_batch_divisor),
            end.not_before, terminal ? std::optional(now) : std::nullopt, id)
      .run();
}

void RunStore::end_waiting(RunId id, core::RunState to, const std::string& reason, core::TimePoint now) {
  transition(get(id), to, reason, now);
  Statement(connection_, "UPDATE runs SET finished_ms = ?, not_before_ms = NULL, forced_device = NULL WHERE id = ?", now, id).run();
}

void RunStore::pause_queued(RunId id, core::TimePoint now) {
  transition(get(id), core::RunState::paused, "paused", now);
  Statement(connection_, "UPDATE runs SET not_before_ms = NULL, forced_device = NULL WHERE id = ?", id).run();
}

void RunStore::resume(RunId id, core::TimePoint now) {
  transition(get(id), core::RunState::queued, "resumed", now);
  Statement(connection_, "UPDATE runs SET restarts = 0, queued_ms = ? WHERE id = ?", now, id).run();
}

void RunStore::erase(RunId id) {
  Statement(connection_, "DELETE FROM runs WHERE id = ?", id).run();
}

void RunStore::requeue(RunId id, bool fresh, const std::string& reason, core::TimePoint now) {
  const RunRow run = get(id);
  if (!core::is_terminal(run.state)) {
    throw core::Error(core::ErrorKind::conflict, "run " + std::to_string(id) + " is " + core::to_string(run.state) +
                                                     ": only a run that has ended can be queued again");
  }
  transition(run, core::RunState::queued, reason, now);
  Statement(
      connection_,
      "UPDATE runs SET restarts = 0, fresh = max(fresh, ?), not_before_ms = NULL, exit_code = NULL, signal = NULL, finished_ms = NULL, "
      "queued_ms = ?, forgiven_ms = runtime_ms WHERE id = ?",
      fresh, now, id)
      .run();
  if (fresh) {
    Statement(connection_,
              "UPDATE runs SET step = 0, started_ms = NULL, runtime_ms = 0, forgiven_ms = 0, micro_batch_divisor = 1, on_gpu = NULL "
              "WHERE id = ?",
              id)
        .run();
  }
}

void RunStore::restore(RunId id, const Restored& r, core::TimePoint now) {
  Statement(connection_, "UPDATE runs SET state = ?, reason = ?, attempt = ?, started_ms = ?, finished_ms = ?, runtime_ms = ? WHERE id = ?",
            r.state, r.reason, r.attempt, r.started_at, r.finished_at, r.runtime_ms, id)
      .run();
  record(id, core::to_string(core::RunState::queued), r.state, r.reason, now);
}

void RunStore::set_attempt_started(RunId id, int attempt, const nlohmann::json& provenance, std::int64_t max_steps,
                                   std::int64_t total_parameters, std::int64_t active_parameters, std::int64_t step) {
  Statement(connection_,
            "INSERT INTO attempts (run_id, attempt, provenance) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET provenance = excluded.provenance",
            id, attempt, provenance.dump())
      .run();
  Statement(connection_,
            "UPDATE runs SET max_steps = CASE WHEN ?1 > 0 THEN ?1 ELSE max_steps END, "
            "total_parameters = CASE WHEN ?2 > 0 THEN ?2 ELSE total_parameters END, "
            "active_parameters = CASE WHEN ?3 > 0 THEN ?3 ELSE active_parameters END, step = ?4, phase = NULL WHERE id = ?5",
            max_steps, total_parameters, active_parameters, step, id)
      .run();
}

void RunStore::set_phase(RunId id, const std::string& phase, std::int64_t done, std::int64_t total) {
  Statement(connection_, "UPDATE runs SET phase = ?, phase_done = ?, phase_total = ? WHERE id = ?", phase, done, total, id).run();
}

void RunStore::set_step(RunId id, std::int64_t step, core::TimePoint time) {
  Statement(connection_,
            "UPDATE runs SET step = ?1, step_ms = ?2, phase = NULL, pace_step = coalesce(pace_step, ?1), pace_ms = coalesce(pace_ms, ?2) "
            "WHERE id = ?3",
            step, time, id)
      .run();
}

void RunStore::set_final_word(RunId id, int attempt, const FinalWord& word) {
  Statement(connection_,
            "INSERT INTO attempts (run_id, attempt, final_status, final_reason, final_message) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET final_status = excluded.final_status, final_reason = excluded.final_reason, "
            "final_message = excluded.final_message",
            id, attempt, word.status, word.reason, word.message)
      .run();
}

std::optional<FinalWord> RunStore::final_word(RunId id, int attempt) {
  Statement row(connection_, "SELECT final_status, final_reason, final_message FROM attempts WHERE run_id = ? AND attempt = ?", id,
                attempt);
  if (!row.step() || row.is_null(0)) return std::nullopt;
  return FinalWord{row.text(0), row.text(1), row.text(2)};
}

nlohmann::json RunStore::provenance(RunId id, int attempt) {
  Statement row(connection_, "SELECT provenance FROM attempts WHERE run_id = ? AND attempt = ?", id, attempt);
  return row.step() ? nlohmann::json::parse(row.text(0)) : nlohmann::json::object();
}

void RunStore::transition(const RunRow& run, core::RunState to, const std::string& reason, core::TimePoint now) {
  if (!core::is_legal(run.state, to)) {
    throw core::Error(core::ErrorKind::conflict,
                      "run " + std::to_string(run.id) + " is " + core::to_string(run.state) + " and cannot become " + core::to_string(to));
  }
  Statement(connection_, "UPDATE runs SET state = ?, reason = ? WHERE id = ?", to, reason, run.id).run();
  record(run.id, core::to_string(run.state), to, reason, now);
}

void RunStore::record(RunId id, const std::string& from, core::RunState to, const std::string& reason, core::TimePoint now) {
  Statement(connection_, "INSERT INTO run_events (run_id, time_ms, from_state, to_state, reason) VALUES (?, ?, ?, ?, ?)", id, now, from, to,
            reason)
      .run();
}

}  // namespace moelab::db
