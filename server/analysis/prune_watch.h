// Owns looking at the experiments that have a rule to prune by: which of their runs are to end now. What pruning.h decides is pure; this
// reads what it needs and remembers in the database which rungs a run has passed, so that a restart of the daemon judges nothing twice.
// Called from the dispatcher's thread.
//
// Never ended: the baseline of any experiment, since others are measured against it, and a run that an experiment without a rule
// lists as well. Both count among the runs the others are compared with.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/run_state.h"
#include "db/database.h"
#include "db/experiment_store.h"
#include "db/run_store.h"
#include "server/analysis/pruning.h"

namespace moelab::server {

class PruneWatch {
 public:
  explicit PruneWatch(db::Database& database) : database_(database) {}

  // At most once a second of `steady` time; nothing in between. The caller stops the runs; one that goes on is named again.
  std::vector<PruneVerdict> look(std::chrono::nanoseconds steady);

 private:
  struct Known {
    int attempt = 0;
    core::RunState state = core::RunState::queued;
    std::vector<std::pair<std::int64_t, double>> points;
  };

  std::vector<PruneVerdict> look_at(const db::ExperimentRow& experiment);
  // The metric's points, read from the database only as far as they are new.
  const std::vector<std::pair<std::int64_t, double>>& points_of(db::Connection& connection, const db::RunRow& run,
                                                                const std::string& metric);

  db::Database& database_;
  std::optional<std::chrono::nanoseconds> looked_at_;
  std::map<std::pair<std::int64_t, std::string>, Known> known_;  // by run and metric
};

}  // namespace moelab::server
