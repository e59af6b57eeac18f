#include "db/run_list.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "db/run_row.h"

namespace moelab::db {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 18> kSortFields{{
    {"id", "r.id"},
    {"name", "coalesce(m.name, r.name)"},
    {"experiment", "e.name"},
    {"state", "r.state"},
    {"attempt", "r.attempt"},
    {"step", "r.step"},
    {"max_steps", "r.max_steps"},
    {"progress", "CAST(r.step AS REAL) / nullif(r.max_steps, 0)"},
    {"device", "r.device"},
    {"priority", "r.priority"},
    {"seed", "r.seed"},
    {"total_parameters", "r.total_parameters"},
    {"active_parameters", "r.active_parameters"},
    {"tokens", "r.tokens"},
    {"queued_at", "r.queued_ms"},
    {"started_at", "r.started_ms"},
    {"finished_at", "r.finished_ms"},
    {"runtime_s", "r.runtime_ms"},
}};
const std::string kMetricPrefix = "metrics.";

// A WHERE clause with its parameters, which are all text or integers.
struct Conditions {
  std::string sql = " WHERE 1";
  std::vector<std::string> texts;
  // Not into the text itself: prepared statements are kept by their text.
  std::string bind_integer(std::int64_t value) {
    texts.push_back(std::to_string(value));
    return "CAST(?" + std::to_string(texts.size()) + " AS INTEGER)";
  }
  void add(const std::string& condition, const std::string& value) {
    texts.push_back(value);
    std::string numbered = condition;
    const std::string mark = "?" + std::to_string(texts.size());
    for (std::size_t at = numbered.find('@'); at != std::string::npos; at = numbered.find('@', at)) numbered.replace(at, 1, mark);
    sql += " AND " + numbered;
  }
};

std::string like_pattern(const std::string& text) {
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + "%";
}

std::string order_by(const RunFilter& filter, Conditions& conditions) {
  const std::string tail = filter.experiment ? "m.position, m.name" : "r.id DESC";
  if (filter.sort.empty()) return tail;
  const bool descending = filter.sort.front() == '-';
  const std::string field = filter.sort.substr(descending ? 1 : 0);
  std::string expression;
  if (field.starts_with(kMetricPrefix) && field.size() > kMetricPrefix.size()) {
    conditions.texts.push_back(field.substr(kMetricPrefix.size()));
    expression = "(SELECT last_value FROM series s WHERE s.run_id = r.id AND s.key = ?" + std::to_string(conditions.texts.size()) + ")";
  } else {
    std::string known;
    for (const auto& [name, sql] : kSortFields) {
      if (field == name) expression = sql;
      known += std::string(name) + ", ";
    }
    if (expression.empty()) {
      throw core::Error(core::ErrorKind::usage,
                        "cannot sort by '" + field + "'; sort by " + known + "or metrics.NAME, with - in front for descending");
    }
  }
  return expression + (descending ? " DESC" : " ASC") + " NULLS LAST, " + tail;
}

}  // namespace

RunList list_runs(Connection& connection, const RunFilter& filter) {
  const std::string from =
      filter.experiment
          ? " FROM members m JOIN runs r ON r.id = m.run_id JOIN experiments e ON e.id = m.experiment_id"
          : " FROM runs r LEFT JOIN members m ON m.run_id = r.id AND (m.experiment_id, m.name) = "
            "(SELECT f.experiment_id, f.name FROM members f WHERE f.run_id = r.id ORDER BY f.experiment_id, f.position LIMIT 1) "
            "LEFT JOIN experiments e ON e.id = m.experiment_id";
  Conditions where;
  if (filter.experiment) where.add("m.experiment_id = CAST(@ AS INTEGER)", std::to_string(*filter.experiment));
  if (!filter.states.empty()) {
    std::string list;
    for (const core::RunState state : filter.states) list += (list.empty() ? "'" : ", '") + core::to_string(state) + "'";
    where.sql += " AND r.state IN (" + list + ")";
  }
  if (!filter.archived) where.sql += " AND r.archived = 0";
  if (!filter.tag.empty()) {
    where.add("EXISTS (SELECT 1 FROM members t, json_each(t.tags) j WHERE t.run_id = r.id AND j.value = @)", filter.tag);
  }
  if (!filter.search.empty()) {
    where.add(
        "(r.name LIKE @ ESCAPE '\\' OR EXISTS (SELECT 1 FROM members n JOIN experiments x ON x.id = n.experiment_id "
        "WHERE n.run_id = r.id AND (n.name LIKE @ ESCAPE '\\' OR x.name LIKE @ ESCAPE '\\')))",
        like_pattern(filter.search));
  }
  RunList list;
  {
    Statement row(connection, "SELECT count(*)" + from + where.sql);
    row.bind_list(where.texts);
    row.step();
    list.total = row.integer(0);
  }
  const std::string order = order_by(filter, where);
  const std::string page = " LIMIT " + where.bind_integer(filter.limit) + " OFFSET " + where.bind_integer(filter.offset);
  Statement row(connection, std::string("SELECT ") + kRunColumns + ", m.experiment_id, m.name" + from + where.sql + " ORDER BY " + order + page);
  row.bind_list(where.texts);
  ExperimentStore experiments(connection);
  while (row.step()) {
    ListedRun listed{read_run(row), std::nullopt};
    if (!row.is_null(kRunColumnCount)) listed.member = experiments.member(row.integer(kRunColumnCount), row.text(kRunColumnCount + 1));
    list.runs.push_back(std::move(listed));
  }
  return list;
}

}  // namespace moelab::db
