// Owns asking live runs to leave, and seeing that they do: time limits, workers that hang or compute on another's device, the drain, and
// SIGTERM, grace, SIGKILL for whatever the reason is. What was asked stands in the database before it is done. Used by the dispatcher,
// from one thread.
#pragma once

#include <chrono>
#include <set>

#include "core/clock.h"
#include "server/devices/device_monitor.h"
#include "server/launcher.h"
#include "server/paths.h"
#include "server/progress_watch.h"
#include "server/run_changes.h"

namespace moelab::server {

class RunStops {
 public:
  // grace: from SIGTERM to SIGKILL.
  RunStops(HomePaths paths, const core::Clock& clock, Launcher& launcher, DeviceMonitor& devices, RunChanges changes, std::chrono::milliseconds grace)
      : clock_(clock), launcher_(launcher), devices_(devices), changes_(changes), grace_(grace), progress_(std::move(paths)) {}

  // Asks a live run to leave if one of its limits says so.
  void watch(const db::RunRow& run);
  void drain(const db::RunRow& run);
  // Does what was asked of a live run.
  void carry_out(const db::RunRow& run);
  // Its attempt has ended.
  void forget(db::RunId run);

 private:
  void check_timeout(const db::RunRow& run);
  void check_progress(const db::RunRow& run);
  void check_placement(const db::RunRow& run);

  const core::Clock& clock_;
  Launcher& launcher_;
  DeviceMonitor& devices_;
  RunChanges changes_;
  const std::chrono::milliseconds grace_;
  ProgressWatch progress_;
  std::set<db::RunId> asked_to_leave_;  // runs this daemon has sent SIGTERM
};

}  // namespace moelab::server
