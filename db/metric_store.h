// Owns scalar series: one value per (run, key, step), the latest of each, thinning. Called by server/ingest and
// run_service. The journal stays the truth: what a resume has superseded is removed here and remains there.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "db/run_store.h"

namespace moelab::db {

struct MetricPoint {
  std::int64_t step = 0;
  double value = 0;  // NaN and infinities are values like any other
};

struct Series {
  std::string key;
  std::vector<MetricPoint> points;  // ascending steps
  std::int64_t total_points = 0;    // from from_step on, before thinning
};

class MetricStore {
 public:
  explicit MetricStore(Connection& connection) : connection_(connection) {}

  // Stores the values of one step; a value that is there already is replaced.
  void put(RunId run, int attempt, std::int64_t step, const std::map<std::string, double>& values);
  // As put, but a step that has a value keeps it: for the final word, which repeats what was said.
  void put_missing(RunId run, int attempt, std::int64_t step, const std::map<std::string, double>& values);
  // Attempt `attempt` starts at `step` completed: points after it of earlier attempts vanish; all of them when step is 0.
  void supersede(RunId run, int attempt, std::int64_t step);

  std::vector<std::string> keys(RunId run);  // sorted
  // Points with step >= from_step. With max_points > 0 (at least 4 is used) the result is thinned: the first and last
  // point stay, and of each bucket in between its minimum and maximum, NaN counting as the largest value.
  Series query(RunId run, const std::string& key, std::int64_t from_step, std::int64_t max_points);
  std::map<std::string, double> latest(RunId run);

 private:
  std::int64_t series_id(RunId run, const std::string& key, std::int64_t step, double value);
  Connection& connection_;
};

// The thinning of query(), on points in ascending steps. max_points = 0 keeps all.
std::vector<MetricPoint> thin(const std::vector<MetricPoint>& points, std::int64_t max_points);

}  // namespace moelab::db
