// Owns the verbs of Moelab: what REST and the CLI may ask for. Every function is safe to call from any thread, reads one
// snapshot of the database, and throws core::Error: not_found for an unknown id, usage for a bad argument, conflict for
// a verb that the run's state does not allow, config for a bad experiments.yaml.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "server/analysis/lr_sweep.h"
#include "server/retention/retention_service.h"
#include "server/run_verbs.h"
#include "server/views.h"

namespace moelab::core {
class Clock;
struct PlanRequest;
}  // namespace moelab::core

namespace moelab::db {
class Database;
}

namespace moelab::server {

class DeviceMonitor;
class SlurmCheck;
class EventBus;
struct ExperimentStatistics;
class WaitReasons;

struct RunQuery {
  std::vector<core::RunState> states;      // empty = all
  std::optional<ExperimentId> experiment;  // lists each member under its name in that experiment
  std::string tag;                         // exact; empty = any
  std::string search;                      // substring of a run or experiment name, case-insensitive
  std::string sort;                        // "" = newest first; else a field of Run or metrics.NAME, "-" in front for descending
  std::int64_t limit = 100;                // [1, 1000]
  std::string cursor;                      // RunPage::next_cursor of the page before
  bool archived = false;                   // archived ones too
};

class RunService {
 public:
  // `home` is the Moelab home directory; `devices` and `bus` outlive the service. `version` is reported by health().
  RunService(db::Database& database, std::filesystem::path home, const core::Clock& clock, EventBus& bus, DeviceMonitor& devices,
             const WaitReasons& reasons, std::string version, const SlurmCheck* slurm = nullptr);

  // Plans `request` and records what is missing: a run whose key is known is reused, whatever its state. With `force`
  // every member that has ended trains again from step 0 in a new attempt (live and queued ones are left alone).
  SubmitResult submit(const core::PlanRequest& request, bool force = false);

  RunPage runs(const RunQuery& query) const;
  RunView run(RunId id) const;
  RunDetail run_detail(RunId id) const;

  // Newest first; one whose runs are all archived only with `archived`.
  std::vector<ExperimentView> experiments(bool archived = false) const;
  ExperimentView experiment(ExperimentId id) const;
  ResultTable results(ExperimentId id, bool archived = false) const;  // archived: their rows too
  // Of a learning-rate sweep, or of the experiment it was made for. not_found when there is none.
  LrSweepReport lr_sweep(ExperimentId id) const;
  // Families against their baseline, by the latest value of `metric`. not_found also for a metric that no member has reported.
  ExperimentStatistics statistics(ExperimentId id, const std::string& metric, bool archived = false) const;  // archived: those too

  // See run_verbs.h. Conflict when the run's state does not allow it.
  RunView act(RunVerb verb, RunId id);
  // The same for several, each once: those whose state does not allow it are skipped, with the reason. Unknown ids: not_found,
  // before anything is done.
  VerbResult act(RunVerb verb, const std::vector<RunId>& ids);
  VerbResult act_on_experiment(RunVerb verb, ExperimentId id);  // runs that other experiments list too are no exception
  // The next two likewise: one run, or several in one transaction.
  RunView set_priority(RunId id, int priority);
  VerbResult set_priority(const std::vector<RunId>& ids, int priority);
  // Starts queued runs as soon as possible on `device` (empty = any of their kind), also if somebody else's work is on it.
  RunView force(RunId id, const std::string& device);
  VerbResult force(const std::vector<RunId>& ids, const std::string& device);
  // The runs that the experiment lists; one that it lists under two names comes twice.
  std::vector<RunId> members(ExperimentId id) const;

  // The first `limit` queued runs in the order in which they get their turn.
  QueueView queue(std::int64_t limit) const;
  QueueView set_queue_mode(QueueMode::Kind kind, const std::string& reason);

  // No keys = every series of the run. A key the run does not have gives an empty series.
  // max_points: 0 = all, else at least 4. from_step is inclusive.
  std::vector<SeriesView> metrics(RunId id, const std::vector<std::string>& keys, std::int64_t from_step, std::int64_t max_points) const;
  // max_frames: 0 = all; the first and the last frame survive thinning. `layer` is a layer id: not_found if it has no router.
  ExpertLoadView expert_load(RunId id, std::int64_t from_step, std::int64_t max_frames, std::optional<std::int64_t> layer) const;
  // The frame at `step`, or the last one. not_found when there is none.
  ExpertLoadView expert_load_frame(RunId id, std::optional<std::int64_t> step) const;

  // The artifact called `name`, the first by path if there are several. not_found when the run has announced none.
  ArtifactFile artifact(RunId id, const std::string& name) const;

  std::filesystem::path run_dir(RunId id) const;   // absolute; the run exists
  std::filesystem::path log_file(RunId id) const;  // worker.log; may not exist yet

  // Delete and gc.
  RetentionService& retention() { return retention_; }

  DevicesView devices() const;
  // enable lifts a quarantine as well. not_found for an id that is no device.
  DeviceView enable_device(const std::string& id);
  DeviceView disable_device(const std::string& id, const std::string& reason);
  HealthView health() const;

  // Experiments that list `id`: whose views change when the run changes.
  std::vector<ExperimentId> experiments_of(RunId id) const;

 private:
  // `change(connection, id)` of each in one transaction; a sentence from it says why that run was left alone. shows_in_listings: a rebuild
  // must know of it too, so it is written beside the runs.
  template <class Change>
  VerbResult change_each(const std::vector<RunId>& ids, bool shows_in_listings, Change&& change);
  RunView only(const VerbResult& result) const;  // the one run that was to change; conflict when it was left alone
  DeviceView device_called(const std::string& id) const;
  void publish(const std::vector<RunId>& ids);

  db::Database& database_;
  std::filesystem::path home_;
  const core::Clock& clock_;
  EventBus& bus_;
  DeviceMonitor& devices_;
  const WaitReasons& reasons_;
  RetentionService retention_;
  std::string version_;
  const SlurmCheck* slurm_;  // null: no run goes to Slurm
  core::TimePoint started_at_;
};

}  // namespace moelab::server
