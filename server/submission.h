// Owns the step from a plan to queued runs: rows in the database, run.json and listings.json in each run's directory.
// Called by run_service.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/plan.h"
#include "db/database.h"
#include "db/experiment_store.h"
#include "server/file_batch.h"
#include "server/paths.h"
#include "server/views.h"

namespace moelab::server {

struct Submitted {
  std::vector<std::int64_t> experiments;                      // in file order
  std::vector<std::pair<std::int64_t, std::string>> members;  // (experiment, name) in file order
  std::vector<std::int64_t> runs;                             // distinct, in file order
  std::int64_t created = 0, reused = 0;                       // distinct runs
};

// One transaction: all or nothing, also on disk. `source_name` is remembered as the experiments' origin.
Submitted record_plan(db::Database& database, const HomePaths& paths, const core::Plan& plan, const std::string& source_name, bool force,
                      core::TimePoint now);

// What the database keeps of a run's resources.
db::Resources resources_of(const core::RunConfig& config);

// Throws Error(config) naming each run that asks for more than this server has, and the remedy. Called before anything is queued.
void require_resources(const core::Plan& plan, const std::string& source_name, const DevicesView& devices, bool slurm_by_default = false);

// runs/<id>/listings.json: every experiment that lists the run and how, so that the database can be rebuilt. Of several runs in one
// batch: the writer of the database waits for the disk once, not once a run.
void add_listings(FileBatch& files, db::Connection& connection, const HomePaths& paths, std::int64_t run_id);
void write_listings(db::Connection& connection, const HomePaths& paths, std::int64_t run_id);

}  // namespace moelab::server
