// Owns the way from an experiment in the database to its statistics. Called by run_service inside a read transaction.
#pragma once

#include <string>

#include "core/metric_catalog.h"
#include "db/experiment_store.h"
#include "server/analysis/statistics.h"

namespace moelab::server {

struct ExperimentStatistics {
  std::string metric;
  std::string unit;  // empty for a pure number and for a metric that is not catalogued
  core::Direction direction = core::Direction::none;
  std::string baseline;  // as the experiment names it; empty = none
  Statistics statistics;
};

// Of the latest value of `metric` of every member; archived runs, baselines too, count only with `archived`. Throws Error(not_found), with
// the nearest name, when members have reported metrics and `metric` is none of them.
ExperimentStatistics experiment_statistics(db::Connection& connection, const db::ExperimentRow& experiment, const std::string& metric,
                                           bool archived = false);

}  // namespace moelab::server
