#include "db/result_store.h"

#include "core/json_number.h"
#include "db/statement.h"

namespace moelab::db {
namespace {

// Seven columns from `first` on; nothing when the run is absent.
std::optional<MetricReading> read_reading(const Statement& row, int first) {
  if (row.is_null(first)) return std::nullopt;
  MetricReading reading{row.integer(first), row.integer(first + 1), row.state(first + 2), row.text(first + 3), std::nullopt, row.boolean(first + 6)};
  if (!row.is_null(first + 4)) reading.value = row.real(first + 5);
  return reading;
}

}  // namespace

void ResultStore::put_final_values(RunId run, int attempt, const std::map<std::string, double>& values) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, value] : values) object[name] = core::number_to_json(value);
  Statement(connection_, "UPDATE attempts SET final_values = ? WHERE run_id = ? AND attempt = ?", object.dump(), run, attempt).run();
}

std::vector<MemberReading> ResultStore::members(ExperimentId experiment, const std::string& metric) {
  std::vector<MemberReading> list;
  Statement row(connection_,
                "SELECT m.family, r.id, r.seed, r.state, coalesce(a.final_reason, ''), s.id, s.last_value, r.archived, "
                "b.id, b.seed, b.state, coalesce(ba.final_reason, ''), bs.id, bs.last_value, b.archived, "
                "coalesce((SELECT l.family FROM members l WHERE l.run_id = b.id AND l.experiment_id = m.experiment_id LIMIT 1), "
                "(SELECT e.name || '/' || l.family FROM members l JOIN experiments e ON e.id = l.experiment_id WHERE l.run_id = b.id "
                "ORDER BY l.experiment_id LIMIT 1), m.baseline) "
                "FROM members m JOIN runs r ON r.id = m.run_id "
                "LEFT JOIN attempts a ON a.run_id = r.id AND a.attempt = r.attempt "
                "LEFT JOIN series s ON s.run_id = r.id AND s.key = ?1 "
                "LEFT JOIN runs b ON b.key = m.baseline_key "
                "LEFT JOIN attempts ba ON ba.run_id = b.id AND ba.attempt = b.attempt "
                "LEFT JOIN series bs ON bs.run_id = b.id AND bs.key = ?1 "
                "WHERE m.experiment_id = ?2 ORDER BY m.position",
                metric, experiment);
  while (row.step()) list.push_back({row.text(0), *read_reading(row, 1), row.text(15), read_reading(row, 8)});
  return list;
}

std::map<RunId, std::vector<double>> ResultStore::repeats(ExperimentId experiment, const std::string& metric, bool archived) {
  std::map<RunId, std::vector<double>> values;
  Statement row(connection_,
                "SELECT run_id, final_values FROM attempts WHERE final_status = 'completed' AND final_values IS NOT NULL AND run_id IN "
                "(SELECT m.run_id FROM members m JOIN runs r ON r.id = m.run_id WHERE m.experiment_id = ? AND (? OR NOT r.archived)) "
                "ORDER BY run_id, attempt",
                experiment, archived ? 1 : 0);
  while (row.step()) {
    const nlohmann::json object = nlohmann::json::parse(row.text(1));
    const auto found = object.find(metric);
    if (found != object.end()) values[row.integer(0)].push_back(core::number_from_json(*found));
  }
  std::erase_if(values, [](const auto& entry) { return entry.second.size() < 2; });
  return values;
}

std::vector<std::string> ResultStore::metrics(ExperimentId experiment) {
  std::vector<std::string> names;
  Statement row(connection_,
                "SELECT DISTINCT s.key FROM series s WHERE s.run_id IN (SELECT run_id FROM members WHERE experiment_id = ?) ORDER BY s.key",
                experiment);
  while (row.step()) names.push_back(row.text(0));
  return names;
}

}  // namespace moelab::db
