#include "db/metric_store.h"

#include <algorithm>
#include <cmath>

#include "db/statement.h"

namespace moelab::db {
namespace {

bool less_with_nan_last(const MetricPoint& a, const MetricPoint& b) {
  if (std::isnan(a.value)) return false;
  return std::isnan(b.value) || a.value < b.value;
}

}  // namespace

std::vector<MetricPoint> thin(const std::vector<MetricPoint>& points, std::int64_t max_points) {
  const std::size_t count = points.size();
  const std::size_t limit = static_cast<std::size_t>(std::max<std::int64_t>(4, max_points));
  if (max_points <= 0 || count <= limit) return points;
  const std::size_t buckets = (limit - 2) / 2;
  const std::size_t inner = count - 2;
  std::vector<MetricPoint> kept{points.front()};
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const auto first = points.begin() + static_cast<std::ptrdiff_t>(1 + inner * bucket / buckets);
    const auto last = points.begin() + static_cast<std::ptrdiff_t>(1 + inner * (bucket + 1) / buckets);
    const auto [low, high] = std::minmax_element(first, last, less_with_nan_last);
    kept.push_back(*std::min(low, high));
    if (low != high) kept.push_back(*std::max(low, high));
  }
  kept.push_back(points.back());
  return kept;
}

std::int64_t MetricStore::series_id(RunId run, const std::string& key, std::int64_t step, double value) {
  Statement row(connection_,
                "INSERT INTO series (run_id, key, last_step, last_value) VALUES (?, ?, ?, ?) ON CONFLICT (run_id, key) DO UPDATE SET "
                "last_value = CASE WHEN excluded.last_step >= last_step THEN excluded.last_value ELSE last_value END, "
                "last_step = max(last_step, excluded.last_step) RETURNING id",
                run, key, step, value);
  row.step();
  return row.integer(0);
}

void MetricStore::put(RunId run, int attempt, std::int64_t step, const std::map<std::string, double>& values) {
  Statement insert(connection_, "INSERT OR REPLACE INTO points (series_id, step, attempt, value) VALUES (?, ?, ?, ?)");
  for (const auto& [key, value] : values) {
    insert.bind_all(series_id(run, key, step, value), step, attempt, value);
    insert.run();
  }
}

void MetricStore::put_missing(RunId run, int attempt, std::int64_t step, const std::map<std::string, double>& values) {
  Statement present(connection_,
                    "SELECT 1 FROM points p JOIN series s ON s.id = p.series_id WHERE s.run_id = ? AND s.key = ? AND p.step = ?");
  std::map<std::string, double> missing;
  for (const auto& [key, value] : values) {
    present.bind_all(run, key, step);
    if (!present.step()) missing[key] = value;
  }
  put(run, attempt, step, missing);
}

void MetricStore::supersede(RunId run, int attempt, std::int64_t step) {
  Statement(connection_,
            "DELETE FROM points WHERE series_id IN (SELECT id FROM series WHERE run_id = ?1) AND attempt < ?2 AND (step > ?3 OR ?3 = 0)",
            run, attempt, step)
      .run();
  Statement(connection_, "DELETE FROM series WHERE run_id = ? AND NOT EXISTS (SELECT 1 FROM points WHERE series_id = series.id)", run)
      .run();
  Statement(
      connection_,
      "UPDATE series SET (last_step, last_value) = (SELECT step, value FROM points WHERE series_id = series.id ORDER BY step DESC LIMIT 1) "
      "WHERE run_id = ?",
      run)
      .run();
}

std::vector<std::string> MetricStore::keys(RunId run) {
  std::vector<std::string> keys;
  Statement row(connection_, "SELECT key FROM series WHERE run_id = ? ORDER BY key", run);
  while (row.step()) keys.push_back(row.text(0));
  return keys;
}

Series MetricStore::query(RunId run, const std::string& key, std::int64_t from_step, std::int64_t max_points) {
  std::vector<MetricPoint> points;
  Statement row(
      connection_,
      "SELECT p.step, p.value FROM points p WHERE p.series_id = (SELECT id FROM series WHERE run_id = ? AND key = ?) AND p.step >= ? "
      "ORDER BY p.step",
      run, key, from_step);
  while (row.step()) points.push_back({row.integer(0), row.real(1)});
  return {key, thin(points, max_points), static_cast<std::int64_t>(points.size())};
}

std::map<std::string, double> MetricStore::latest(RunId run) {
  std::map<std::string, double> values;
  Statement row(connection_, "SELECT key, last_value FROM series WHERE run_id = ?", run);
  while (row.step()) values[row.text(0)] = row.real(1);
  return values;
}

}  // namespace moelab::db
