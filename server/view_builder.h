// Owns how rows of the database become views. Called by run_service inside a read transaction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/experiment_store.h"
#include "db/run_list.h"
#include "server/views.h"
#include "server/wait_reasons.h"

namespace moelab::server {

class ViewBuilder {
 public:
  ViewBuilder(db::Connection& connection, core::TimePoint now, const WaitReasons& reasons)
      : connection_(connection), now_(now), reasons_(reasons) {}

  RunView run(const db::ListedRun& listed);
  RunView run(RunId id);  // under its oldest listing; throws Error(not_found)
  std::vector<RunView> runs(const std::vector<db::ListedRun>& listed);
  // The members of an experiment in file order.
  std::vector<db::ListedRun> members(ExperimentId id);
  ExperimentView experiment(const db::ExperimentRow& row);
  ResultTable results(const db::ExperimentRow& row, bool archived);  // archived: rows of archived runs too

 private:
  std::map<std::string, double> summary(RunId id);
  // The latest value of `metric` of the run with that key, wherever it is listed.
  std::optional<double> value_of(const std::string& key, const std::string& metric);

  db::Connection& connection_;
  core::TimePoint now_;
  const WaitReasons& reasons_;
};

}  // namespace moelab::server
