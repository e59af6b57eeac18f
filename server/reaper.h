// Owns the end of an attempt: that its worker is gone, that its device is given back, and what becomes of the run. Used by the
// dispatcher, from one thread.
#pragma once

#include "core/clock.h"
#include "db/database.h"
#include "server/devices/device_monitor.h"
#include "server/devices/device_reader.h"
#include "server/ingest.h"
#include "server/launcher.h"
#include "server/outcome.h"
#include "server/paths.h"
#include "server/run_changes.h"

namespace moelab::server {

class Reaper {
 public:
  Reaper(db::Database& database, HomePaths paths, const core::Clock& clock, Launcher& launcher, DeviceMonitor& devices, DeviceReader& reader,
         Ingest& ingest, RunChanges changes)
      : database_(database), paths_(std::move(paths)), clock_(clock), launcher_(launcher), devices_(devices), reader_(reader),
        ingest_(ingest), changes_(changes) {}

  // Ends the attempt of a live run whose worker is gone, when its device is free of it. True when it did.
  bool reap(const db::RunRow& run);

 private:
  bool has_given_back(const db::RunRow& run, const Exit& exit);
  core::TimePoint worked_until(const db::RunRow& run, const Exit& exit) const;
  Allowed allowed(const db::RunRow& run);

  db::Database& database_;
  HomePaths paths_;
  const core::Clock& clock_;
  Launcher& launcher_;
  DeviceMonitor& devices_;
  DeviceReader& reader_;
  Ingest& ingest_;
  RunChanges changes_;
};

}  // namespace moelab::server
