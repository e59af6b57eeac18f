// Owns the start of an attempt: the run's directory as the worker finds it, the lease, the process and its identity, in the order that
// lets a daemon die between any two of them. Used by the dispatcher, from one thread.
#pragma once

#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "db/database.h"
#include "server/devices/device_monitor.h"
#include "server/launcher.h"
#include "server/paths.h"
#include "server/run_changes.h"
#include "server/scheduler.h"

namespace moelab::server {

class RunStarter {
 public:
  RunStarter(db::Database& database, HomePaths paths, const core::Clock& clock, Launcher& launcher, DeviceMonitor& devices, RunChanges changes)
      : database_(database), paths_(std::move(paths)), clock_(clock), launcher_(launcher), devices_(devices), changes_(changes) {}

  // Does nothing for a run that has left the queue since it was decided. Throws what kept the worker from starting; the run is then
  // queued again or failed.
  void start(const Launch& next);

 private:
  void prepare_run_directory(const db::RunRow& run, const nlohmann::json& spec);

  db::Database& database_;
  HomePaths paths_;
  const core::Clock& clock_;
  Launcher& launcher_;
  DeviceMonitor& devices_;
  RunChanges changes_;
};

}  // namespace moelab::server
