// Owns rebuilding the database from what the runs have left on disk: run.json (what), listings.json (who lists it) and
// events.jsonl (what happened). Called by `moelab db rebuild`, and by App when a home with runs has lost its database.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/clock.h"
#include "server/paths.h"

namespace moelab::server {

struct Rebuilt {
  std::int64_t runs = 0;
  std::int64_t skipped = 0;            // directories whose run.json cannot be read; logged
  std::filesystem::path old_database;  // where the old file was moved; empty when there was none
};

// Builds a new database beside the old one and then takes its place; the old one stays as moelab.db.old. Runs keep their ids
// and metrics. A run whose journal ends with `completed` or `failed` is that; any other becomes cancelled, since nobody
// can tell whether it was meant to go on: `moelab retry` continues it from its checkpoint. Throws Error(conflict) while a
// worker of this home is alive. The caller holds the HomeLock.
Rebuilt rebuild_database(const HomePaths& paths, const core::Clock& clock);

// The same for a home that no daemon uses, lock included.
Rebuilt rebuild_home(const std::filesystem::path& home);

// A run directory is there to rebuild from.
bool has_runs_on_disk(const HomePaths& paths);

}  // namespace moelab::server
