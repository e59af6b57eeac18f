// Owns the life of runs: rows, state transitions with their history, device leases, process identity, attempts.
// Called by server/ inside Database::write or read. Every change of state goes through here and is checked against the
// transition table of core/run_state.h; a device lease is unique by a constraint of the schema.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/run_state.h"
#include "db/database.h"

namespace moelab::db {

using RunId = std::int64_t;

// What decides whether a pid is still the process we started: a pid alone may have been given to another since.
struct ProcessIdentity {
  std::int64_t pid = 0;
  std::int64_t start_ticks = 0;  // field 22 of /proc/<pid>/stat
  std::string boot_id;
  bool operator==(const ProcessIdentity&) const = default;
};

// Why a live run was asked to leave, the later outranking the earlier: what a person wants outranks a rule, which outranks the
// daemon's own stop.
enum class StopIntent {
  shutdown,   // the daemon stops: back to queued
  drain,      // the server is drained: back to queued
  hang,       // no progress: killed, then a restart like after a crash
  prune,      // its experiment's rule has ended it: pruned
  timeout,    // resources.timeout: timed_out
  misplaced,  // it computes on a device that is not its own: killed, failed
  pause,      // paused
  cancel,     // cancelled
  kill,       // cancelled, without a checkpoint
};
std::string to_string(StopIntent intent);

// RunRow::forced_device of a run that a person wants started on whichever device.
inline constexpr const char* kAnyDevice = "any";

// What the scheduler and the dispatcher need of core::ResourceConfig.
struct Resources {
  std::optional<std::int64_t> gpus = {};  // 0 or 1; nothing = a GPU if there is one
  std::int64_t timeout_s = 0;        // 0 = none
  std::int64_t max_restarts = 0;
  std::optional<double> memory_gb = {};  // declared peak of device memory; nothing = as measured
  bool share_gpu = false;
  std::int64_t hang_timeout_s = 0;  // 0 = never
  bool halve_on_oom = false;
  std::string launcher = "auto";  // a name of core::LauncherKind
  bool operator==(const Resources&) const = default;
};

// What never changes after a run was first submitted, but for spec, priority and resources.
struct NewRun {
  RunId id = 0;  // 0 = the next one; a rebuild gives a run its old id
  std::string key, matrix, name;
  nlohmann::json spec;  // core::to_json(RunSpec)
  std::int64_t seed = 0;
  std::int64_t total_parameters = 0, active_parameters = 0;
  double flops_per_token = 0, tokens = 0;
  std::int64_t max_steps = 0;
  int priority = 0;
  Resources resources;
  std::string waits_for;                // key of the run whose weights it starts from; empty = none
  std::vector<std::string> depends_on;  // keys of every run that must have completed before, the one above included
  std::string memory_key;               // runs of one key need the same device memory; see server/submission.cpp
};

struct RunRow {
  RunId id = 0;
  std::string key, matrix, name;
  std::int64_t seed = 0;
  std::int64_t total_parameters = 0, active_parameters = 0;
  double flops_per_token = 0, tokens = 0;
  int priority = 0;
  Resources resources;
  std::string waits_for;
  core::RunState state = core::RunState::queued;
  std::string reason;
  std::optional<std::int64_t> exit_code, signal;
  int attempt = 0;
  int restarts = 0;
  bool fresh = false;
  std::optional<core::TimePoint> not_before;
  std::int64_t step = 0, max_steps = 0;
  std::string phase;
  std::int64_t phase_done = 0, phase_total = 0;
  std::optional<std::int64_t> pace_step;
  std::optional<core::TimePoint> pace_time, step_time;
  std::string device;  // empty = no lease
  std::optional<ProcessIdentity> process;
  std::optional<StopIntent> stop_intent;
  std::optional<core::TimePoint> stop_deadline;
  core::TimePoint queued_at;
  std::optional<core::TimePoint> started_at, attempt_started_at, finished_at;
  std::int64_t runtime_ms = 0;  // of attempts that have ended
  bool lease_shared = false;
  std::string forced_device;              // of a queued run: start it there whoever uses it; empty = wait for a free one
  std::optional<core::TimePoint> gone_at;  // its worker has gone, its device has not given the memory back yet
  std::string stop_reason;                // sentence that goes with stop_intent; may be empty
  std::int64_t micro_batch_divisor = 1;   // micro-batches are this many times smaller than the file says, after out of memory
  std::string memory_key;
  bool archived = false;
  std::optional<bool> on_gpu;    // where what it has trained so far was trained; nothing = not begun, or in Slurm
  std::int64_t forgiven_ms = 0;  // of runtime_ms: counts no more against resources.timeout, since a person has said retry
};

// A queued run and one of the runs it still waits for.
struct Unmet {
  RunId run = 0;
  std::optional<RunId> on;  // nothing: there is no such run any more
  std::string on_name;
  core::RunState state = core::RunState::queued;  // of `on`
};

// Which device an attempt gets.
struct LeaseRequest {
  std::string device;
  bool shared = false;  // with other shared leases of the device
  std::string note = {};// for the history, in place of the device's name; may be empty
  std::optional<bool> on_gpu = {};  // nothing: nobody here knows
};

struct RunEventRow {
  core::TimePoint time;
  std::string from, to, reason;
};

// The worker's last word in an attempt, from its `finished` event.
struct FinalWord {
  std::string status, reason, message;
};

// How an attempt ended, as the dispatcher has judged it.
struct AttemptEnd {
  core::RunState to = core::RunState::failed;  // terminal, or queued to go again
  std::string reason;
  std::optional<int> exit_code, signal;
  bool counts_as_restart = false;
  std::optional<core::TimePoint> not_before;  // for queued: back-off
  std::optional<std::int64_t> micro_batch_divisor = {};  // new one, after out of memory
  std::optional<core::TimePoint> worked_until = {};      // running time counts up to here; nothing = up to now
};

// What a journal proves about its run.
struct Restored {
  core::RunState state = core::RunState::cancelled;
  std::string reason;
  int attempt = 0;
  std::optional<core::TimePoint> started_at, finished_at;
  std::int64_t runtime_ms = 0;
};

class RunStore {
 public:
  explicit RunStore(Connection& connection) : connection_(connection) {}

  // Inserts a queued run. The key must be new.
  RunId insert(const NewRun& run, core::TimePoint now);
  std::optional<RunId> find_by_key(const std::string& key);
  std::optional<RunRow> find(RunId id);
  RunRow get(RunId id);                                                      // throws Error(not_found)
  std::vector<RunRow> in_states(const std::vector<core::RunState>& states);  // by id
  // Of queued runs, by run: what they depend on and has not completed (or been pruned, which is a result too).
  std::vector<Unmet> unmet_dependencies();
  // Those of them that will not complete unless somebody retries them.
  std::vector<Unmet> failed_dependencies();
  std::vector<std::string> dependencies(RunId id);  // keys
  void set_dependencies(RunId id, const std::vector<std::string>& keys);
  nlohmann::json spec(RunId id);
  std::map<std::string, std::int64_t> count_by_state();
  std::vector<RunEventRow> events(RunId id);
  void raise_priority(RunId id, int priority);
  void set_priority(RunId id, int priority);
  // A queued run is to start on `device` (kAnyDevice = on any of its kind) even if somebody else uses it.
  void force(RunId id, const std::string& device, core::TimePoint now);
  // The same run submitted again with other resources or checkpoint rules: those are not part of the key.
  void update_spec(RunId id, const nlohmann::json& spec, const Resources& resources);

  // queued -> starting: leases the device, counts the attempt. Returns the new attempt's number. Error(storage) when the device is
  // leased already.
  int begin_attempt(RunId id, const LeaseRequest& lease, core::TimePoint now);
  void set_process(RunId id, const ProcessIdentity& process);
  // starting -> running. Nothing happens in another state: a stop may have come first.
  void mark_running(RunId id, core::TimePoint now);
  // starting or running -> stopping; already stopping: only a higher intent counts.
  void request_stop(RunId id, StopIntent intent, const std::string& reason, core::TimePoint now);
  // The worker of a live run has gone, and how; the lease stays until end_attempt.
  void set_gone(RunId id, std::optional<int> code, std::optional<int> signal, core::TimePoint now);
  // Somebody has set the clock by this much: what is planned, and since when what lives has lived, moves along.
  void shift_deadlines(std::chrono::milliseconds by);
  void set_stop_deadline(RunId id, core::TimePoint deadline);
  // live -> terminal or queued: frees the device, forgets the process, adds up the running time.
  void end_attempt(RunId id, const AttemptEnd& end, core::TimePoint now);
  // A run without a worker: queued or paused -> cancelled, queued -> skipped.
  void end_waiting(RunId id, core::RunState to, const std::string& reason, core::TimePoint now);
  // queued -> paused, paused -> queued.
  void pause_queued(RunId id, core::TimePoint now);
  void resume(RunId id, core::TimePoint now);
  // Forgets the run and all that belongs to it; the caller has checked that it may go.
  void erase(RunId id);
  // terminal -> queued. `fresh`: the next attempt starts from step 0.
  void requeue(RunId id, bool fresh, const std::string& reason, core::TimePoint now);

  // For `moelab db rebuild` only: puts a run that was just inserted into the state its journal proves.
  void restore(RunId id, const Restored& restored, core::TimePoint now);

  // From the journal, by ingest.
  void set_attempt_started(RunId id, int attempt, const nlohmann::json& provenance, std::int64_t max_steps, std::int64_t total_parameters,
                           std::int64_t active_parameters, std::int64_t step);
  void set_phase(RunId id, const std::string& phase, std::int64_t done, std::int64_t total);
  // Steps completed at `time`; the first call of an attempt marks where its pace is measured from. Ends the phase.
  void set_step(RunId id, std::int64_t step, core::TimePoint time);
  void set_final_word(RunId id, int attempt, const FinalWord& word);
  std::optional<FinalWord> final_word(RunId id, int attempt);
  nlohmann::json provenance(RunId id, int attempt);  // {} when the attempt has not journalled `started`

 private:
  std::vector<Unmet> read_unmet(const std::string& condition);
  void transition(const RunRow& run, core::RunState to, const std::string& reason, core::TimePoint now);
  void record(RunId id, const std::string& from, core::RunState to, const std::string& reason, core::TimePoint now);

  Connection& connection_;
};

}  // namespace moelab::db
