#include "server/run_verbs.h"

#include "core/error.h"
#include "core/nearest_name.h"
#include "db/retention_store.h"

namespace moelab::server {
namespace {

using core::RunState;
using Refusal = std::optional<std::string>;

std::string subject(const db::RunRow& run) {
  return "run " + std::to_string(run.id) + " (" + run.name + ") is " + core::to_string(run.state);
}

// Asks a live run to leave. Asking twice is fine; asking for less than what is under way is not.
Refusal stop(db::RunStore& runs, const db::RunRow& run, db::StopIntent intent, core::TimePoint now) {
  if (run.stop_intent && *run.stop_intent > intent) return subject(run) + " already (" + db::to_string(*run.stop_intent) + ")";
  runs.request_stop(run.id, intent, "", now);
  return std::nullopt;
}

Refusal pause(db::RunStore& runs, const db::RunRow& run, core::TimePoint now) {
  if (core::is_live(run.state)) return stop(runs, run, db::StopIntent::pause, now);
  if (run.state != RunState::queued) return subject(run) + ": only a queued or running run can be paused";
  runs.pause_queued(run.id, now);
  return std::nullopt;
}

Refusal resume(db::RunStore& runs, const db::RunRow& run, core::TimePoint now) {
  if (run.state != RunState::paused) return subject(run) + ": only a paused run can be resumed";
  runs.resume(run.id, now);
  return std::nullopt;
}

Refusal end(db::RunStore& runs, const db::RunRow& run, db::StopIntent intent, core::TimePoint now) {
  if (core::is_live(run.state)) return stop(runs, run, intent, now);
  if (core::is_terminal(run.state)) return subject(run) + ": it has ended already";
  runs.end_waiting(run.id, RunState::cancelled, "cancelled", now);
  return std::nullopt;
}

Refusal retry(db::RunStore& runs, const db::RunRow& run, core::TimePoint now) {
  if (run.state == RunState::completed) return subject(run) + "; `rerun` trains it again from the start";
  if (run.state == RunState::pruned) return subject(run) + ", by a rule that would end it again; change the rule, or `rerun` it";
  if (!core::is_terminal(run.state)) return subject(run) + ": only a run that has ended can be tried again";
  runs.requeue(run.id, false, "retried", now);
  return std::nullopt;
}

Refusal rerun(db::RunStore& runs, const db::RunRow& run, core::TimePoint now) {
  if (!core::is_terminal(run.state)) return subject(run) + ": only a run that has ended can be run again";
  runs.requeue(run.id, true, "to be run again from the start", now);
  return std::nullopt;
}

Refusal set_archived(db::Connection& c, const db::RunRow& run, bool archived) {
  if (archived && !core::is_terminal(run.state)) return subject(run) + ": only a run that has ended can be archived";
  db::RetentionStore(c).set_archived(run.id, archived);
  return std::nullopt;
}

}  // namespace

const std::vector<RunVerbInfo>& run_verbs() {
  static const std::vector<RunVerbInfo> table{
      {RunVerb::pause, "pause", "Stop runs for a while: they checkpoint and give their device back; queued ones leave the queue"},
      {RunVerb::resume, "resume", "Queue paused runs; they go on from their newest checkpoint"},
      {RunVerb::cancel, "cancel", "End runs: queued ones leave the queue, running ones checkpoint and leave"},
      {RunVerb::kill, "kill", "End runs at once, without a checkpoint"},
      {RunVerb::retry, "retry", "Queue runs that ended without completing; they go on from their newest checkpoint"},
      {RunVerb::rerun, "rerun", "Train ended runs again from the start, as a new attempt"},
      {RunVerb::archive, "archive", "Leave ended runs out of listings and results; their files stay"},
      {RunVerb::unarchive, "unarchive", "List archived runs again"},
  };
  return table;
}

std::string to_string(RunVerb verb) {
  return std::string(run_verbs()[static_cast<std::size_t>(verb)].name);
}

RunVerb run_verb_from(const std::string& name) {
  std::vector<std::string> known;
  for (const RunVerbInfo& info : run_verbs()) {
    if (info.name == name) return info.verb;
    known.emplace_back(info.name);
  }
  known.insert(known.end(), {"priority", "force", "delete"});  // these have endpoints of their own
  std::string list;
  for (const std::string& verb : known) list += (list.empty() ? "" : ", ") + verb;
  throw core::Error(core::ErrorKind::not_found,
                    "'" + name + "' is nothing that can be done to a run" + core::did_you_mean(name, known) + "; the verbs are " + list);
}

std::optional<std::string> apply_verb(db::Connection& connection, db::RunId id, RunVerb verb, core::TimePoint now) {
  db::RunStore runs(connection);
  const db::RunRow run = runs.get(id);
  switch (verb) {
    case RunVerb::pause:
      return pause(runs, run, now);
    case RunVerb::resume:
      return resume(runs, run, now);
    case RunVerb::cancel:
      return end(runs, run, db::StopIntent::cancel, now);
    case RunVerb::kill:
      return end(runs, run, db::StopIntent::kill, now);
    case RunVerb::retry:
      return retry(runs, run, now);
    case RunVerb::rerun:
      return rerun(runs, run, now);
    case RunVerb::archive:
      return set_archived(connection, run, true);
    case RunVerb::unarchive:
      return set_archived(connection, run, false);
  }
  return std::nullopt;
}

std::optional<std::string> apply_priority(db::Connection& connection, db::RunId id, int priority) {
  db::RunStore runs(connection);
  const db::RunRow run = runs.get(id);
  if (core::is_terminal(run.state)) return subject(run) + ": only a run that has not ended has a place in the queue";
  runs.set_priority(id, priority);
  return std::nullopt;
}

std::optional<std::string> apply_force(db::Connection& connection, db::RunId id, const std::string& device, core::TimePoint now) {
  db::RunStore runs(connection);
  const db::RunRow run = runs.get(id);
  if (run.state != RunState::queued) return subject(run) + ": only a queued run can be forced onto a device";
  runs.force(id, device, now);
  return std::nullopt;
}

}  // namespace moelab::server
