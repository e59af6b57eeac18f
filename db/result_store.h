// Owns what runs have reached, for comparing them: the final values of every completed attempt, and one metric over the members
// of an experiment beside that of their baselines. Called by server/ingest and server/experiment_statistics.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "db/experiment_store.h"
#include "db/run_store.h"

namespace moelab::db {

// One run's word on one metric.
struct MetricReading {
  RunId run = 0;
  std::int64_t seed = 0;
  core::RunState state = core::RunState::queued;
  std::string final_reason;     // of its newest attempt's final word; empty without one
  std::optional<double> value;  // the latest; NaN and infinities are values
  bool archived = false;
};

struct MemberReading {
  std::string family;
  MetricReading own;
  std::string baseline;                  // family of the baseline, EXPERIMENT/FAMILY if another experiment lists it; empty = none
  std::optional<MetricReading> against;  // the baseline's run; nothing while there is no such run
};

class ResultStore {
 public:
  explicit ResultStore(Connection& connection) : connection_(connection) {}

  // What attempt `attempt` of `run` has ended with. The attempt is known.
  void put_final_values(RunId run, int attempt, const std::map<std::string, double>& values);

  // In file order. One query, whatever the number of members.
  std::vector<MemberReading> members(ExperimentId experiment, const std::string& metric);
  // Of the members with at least two completed attempts: the final values, by attempt. Attempts of which none were kept are absent;
  // so are archived runs, unless `archived`.
  std::map<RunId, std::vector<double>> repeats(ExperimentId experiment, const std::string& metric, bool archived = false);
  // Every metric that a member has reported, sorted.
  std::vector<std::string> metrics(ExperimentId experiment);

 private:
  Connection& connection_;
};

}  // namespace moelab::db
