// Owns the tick: reaps workers that are gone, enforces time limits, tells hanging workers, carries out stops (SIGTERM, grace, SIGKILL),
// reads the devices and launches what the scheduler decides. All it must remember is in the database, so a new dispatcher goes on
// where a killed one stood: a live run is adopted by the identity of its process. Used from one thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/database.h"
#include "db/run_store.h"
#include "server/clock_watch.h"
#include "server/device_monitor.h"
#include "server/disk_guard.h"
#include "server/event_bus.h"
#include "server/ingest.h"
#include "server/launcher.h"
#include "server/outcome.h"
#include "server/paths.h"
#include "server/progress_watch.h"
#include "server/prune_watch.h"
#include "server/scheduler.h"
#include "server/wait_reasons.h"

namespace moelab::server {

struct DispatcherOptions {
  std::chrono::milliseconds grace{60'000};          // from SIGTERM to SIGKILL
  std::chrono::milliseconds device_interval{1000};  // between two readings of the devices, and two looks for workers that hang
  int max_concurrent = 0;                           // runs at once on this server; 0 = as many as there are devices
  bool slurm_by_default = false;                    // where runs of resources.launcher "auto" go
  std::optional<std::uint64_t> min_free_bytes = 0;  // of the home's disk, else nothing is launched; see disk_guard.h
  bool leave_slurm_jobs = false;                    // at shutdown: they keep their place in Slurm, and the next daemon adopts them
};

class Dispatcher {
 public:
  Dispatcher(db::Database& database, HomePaths paths, const core::Clock& clock, Launcher& launcher, DeviceMonitor& devices, Ingest& ingest,
             EventBus& bus, WaitReasons& reasons, DispatcherOptions options = {});

  // One pass. An error that concerns one run is logged and leaves the others alone.
  void tick();
  // From now on launches nothing and asks every live run to checkpoint and leave; tick() goes on until has_live_runs() is false. Jobs
  // of Slurm that are to stay count neither here nor there.
  void begin_shutdown();
  bool has_live_runs();

 private:
  void follow_clock();
  bool stays(const db::RunRow& run) const;  // at shutdown
  void reap(const db::RunRow& run);
  bool has_given_back(const db::RunRow& run, const Exit& exit);
  void say_what_it_waits_for(const db::RunRow& run);
  Allowed allowed(const db::RunRow& run);
  void check_timeout(const db::RunRow& run);
  void check_progress(const db::RunRow& run);
  void check_placement(const db::RunRow& run);
  void carry_out_stop(const db::RunRow& run);
  void drain(const db::RunRow& run);
  void prune();
  void read_devices();
  void skip_orphans();
  void launch_what_fits();
  void launch(const Launch& next);
  void prepare_run_directory(const db::RunRow& run, const nlohmann::json& spec);
  void for_each_live(const std::function<void(const db::RunRow&)>& work);
  void guard(std::int64_t run_id, const std::function<void()>& work);
  void publish(std::int64_t run_id);
  template <class Change>
  void change(std::int64_t run_id, Change&& change);
  template <class Change>
  void change_if(std::int64_t run_id, Change&& change);  // `change` returns whether it did anything

  db::Database& database_;
  HomePaths paths_;
  const core::Clock& clock_;
  Launcher& launcher_;
  DeviceMonitor& devices_;
  Ingest& ingest_;
  EventBus& bus_;
  WaitReasons& reasons_;
  DispatcherOptions options_;
  ClockWatch clock_watch_;
  ProgressWatch progress_;
  PruneWatch pruning_;
  DiskGuard disk_;
  bool shutting_down_ = false;
  std::set<std::int64_t> asked_to_leave_;  // runs this dispatcher has sent SIGTERM
  std::vector<std::string> leased_;        // devices at the last reading
  std::optional<core::TimePoint> devices_read_at_;
  std::optional<std::uint64_t> decided_;            // EventBus::decisions_due() at the last decision
  std::optional<core::TimePoint> next_decision_at_;  // when the first back-off is over, or a launch that went wrong is tried again
  std::map<std::int64_t, std::string> last_error_;
};

}  // namespace moelab::server
