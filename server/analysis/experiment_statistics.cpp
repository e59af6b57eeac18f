#include "server/analysis/experiment_statistics.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/nearest_name.h"
#include "db/result_store.h"

namespace moelab::server {
namespace {

// The reason that a worker gives in its final word when it stops at a loss that is not finite.
constexpr const char* kNonFinite = "non_finite";

Reading reading_of(const db::MetricReading& row, bool archived) {
  return {row.run, row.seed, row.state, row.final_reason == kNonFinite, row.value, row.archived && !archived};
}

Observation observation_of(const db::MemberReading& row, bool archived) {
  Observation one{row.family, reading_of(row.own, archived), row.baseline, std::nullopt};
  if (row.against) one.against = reading_of(*row.against, archived);
  return one;
}

void require_reported(db::ResultStore& results, const db::ExperimentRow& experiment, const std::string& metric) {
  const std::vector<std::string> names = results.metrics(experiment.id);
  if (names.empty() || std::binary_search(names.begin(), names.end(), metric)) return;
  throw core::Error(core::ErrorKind::not_found,
                    "No run of " + experiment.name + " has reported '" + metric + "'" + core::did_you_mean(metric, names));
}

}  // namespace

ExperimentStatistics experiment_statistics(db::Connection& connection, const db::ExperimentRow& experiment, const std::string& metric,
                                           bool archived) {
  db::ResultStore results(connection);
  require_reported(results, experiment, metric);
  std::vector<Observation> observations;
  for (const db::MemberReading& row : results.members(experiment.id, metric)) observations.push_back(observation_of(row, archived));
  std::vector<Repeats> repeats;
  for (auto& [run, values] : results.repeats(experiment.id, metric, archived)) repeats.push_back({run, std::move(values)});

  ExperimentStatistics answer;
  answer.metric = metric;
  if (const core::MetricInfo* info = core::find_metric(metric)) {
    answer.unit = info->unit;
    answer.direction = info->direction;
  }
  answer.baseline = experiment.baseline;
  answer.statistics = compare_families(observations, repeats);
  return answer;
}

}  // namespace moelab::server
