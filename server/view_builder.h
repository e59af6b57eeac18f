// Owns how rows of the database become views. Called by run_service inside a read transaction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/experiment_store.h"
#include "db/run_list.h"
#include "server/views.h"

namespace moelab::server {

class ViewBuilder {
 public:
  ViewBuilder(db::Connection& connection, core::TimePoint now) : connection_(connection), now_(now) {}

  RunView run(const db::ListedRun& listed);
  RunView run(RunId id);  // under its oldest listing; throws Error(not_found)
  std::vector<RunView> runs(const std::vector<db::ListedRun>& listed);
  // The members of an experiment in file order.
  std::vector<db::ListedRun> members(ExperimentId id);
  ExperimentView experiment(const db::ExperimentRow& row);
  ResultTable results(const db::ExperimentRow& row);

 private:
  std::map<std::string, double> summary(RunId id);
  // The value of `metric` of every run called `baseline`, by seed: within the experiment, else in others of its matrix and profile.
  std::map<std::int64_t, double> baseline_values(const db::ExperimentRow& row, const std::string& baseline, const std::string& metric);

  db::Connection& connection_;
  core::TimePoint now_;
};

}  // namespace moelab::server
