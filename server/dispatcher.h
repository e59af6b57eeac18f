// Owns the tick, the order of what it does: reap workers that are gone (reaper.h), ask those to leave that must (run_stops.h), read the
// devices (device_reader.h), start what the scheduler decides (run_starter.h). All it must remember is in the database, so a new
// dispatcher goes on where a killed one stood: a live run is adopted by the identity of its process. Used from one thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "core/clock.h"
#include "db/database.h"
#include "db/run_store.h"
#include "server/analysis/prune_watch.h"
#include "server/clock_watch.h"
#include "server/devices/device_monitor.h"
#include "server/devices/device_reader.h"
#include "server/event_bus.h"
#include "server/ingest.h"
#include "server/launcher.h"
#include "server/paths.h"
#include "server/reaper.h"
#include "server/retention/disk_guard.h"
#include "server/run_changes.h"
#include "server/run_starter.h"
#include "server/run_stops.h"
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
  void say_what_it_waits_for(const db::RunRow& run);
  void prune();
  void skip_orphans();
  void launch_what_fits();
  void for_each_live(const std::function<void(const db::RunRow&)>& work);
  void guard(std::int64_t run_id, const std::function<void()>& work);

  db::Database& database_;
  const core::Clock& clock_;
  Launcher& launcher_;
  DeviceMonitor& devices_;
  EventBus& bus_;
  WaitReasons& reasons_;
  DispatcherOptions options_;
  RunChanges changes_;
  ClockWatch clock_watch_;
  PruneWatch pruning_;
  DiskGuard disk_;
  DeviceReader reader_;
  Reaper reaper_;
  RunStops stops_;
  RunStarter starter_;
  bool shutting_down_ = false;
  std::optional<std::uint64_t> decided_;             // EventBus::decisions_due() at the last decision
  std::optional<core::TimePoint> next_decision_at_;  // when the first back-off is over, or a launch that went wrong is tried again
  std::map<std::int64_t, std::string> last_error_;
};

}  // namespace moelab::server
