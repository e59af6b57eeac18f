#include "db/experiment_store.h"

#include <utility>

#include "core/error.h"
#include "db/statement.h"

namespace moelab::db {
namespace {

constexpr const char* kExperimentColumns = "id, matrix, name, profile, baseline, notes, tags, source, max_concurrent, created_ms, prune";
constexpr const char* kMemberSelect =
    "SELECT m.experiment_id, e.name, m.name, m.run_id, m.baseline, m.baseline_key, m.notes, m.tags, m.varied, m.family "
    "FROM members m JOIN experiments e ON e.id = m.experiment_id ";

std::vector<std::string> read_list(const std::string& json) {
  return nlohmann::json::parse(json).get<std::vector<std::string>>();
}

ExperimentRow read_experiment(const Statement& row) {
  return {row.integer(0),         row.text(1), row.text(2),  row.text(3), row.text(4), row.text(5),
          read_list(row.text(6)), row.text(7), row.small(8), row.time(9), row.text(10)};
}

MemberRow read_member(const Statement& row) {
  return {row.integer(0),
          row.text(1),
          row.text(2),
          row.integer(3),
          row.text(4),
          row.text(5),
          row.text(6),
          read_list(row.text(7)),
          nlohmann::json::parse(row.text(8)),
          row.text(9)};
}

}  // namespace

ExperimentId ExperimentStore::put(const ExperimentRow& e) {
  Statement row(connection_,
                "INSERT INTO experiments (id, matrix, name, profile, baseline, notes, tags, source, max_concurrent, created_ms, prune) "
                "VALUES (nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (matrix, name, profile) DO UPDATE SET "
                "baseline = excluded.baseline, notes = excluded.notes, tags = excluded.tags, source = excluded.source, "
                "max_concurrent = excluded.max_concurrent, prune = excluded.prune RETURNING id",
                e.id, e.matrix, e.name, e.profile, e.baseline, e.notes, nlohmann::json(e.tags).dump(), e.source, e.max_concurrent,
                e.created_at, e.prune);
  row.step();
  return row.integer(0);
}

ExperimentRow ExperimentStore::get(ExperimentId id) {
  Statement row(connection_, std::string("SELECT ") + kExperimentColumns + " FROM experiments WHERE id = ?", id);
  if (!row.step()) throw core::Error(core::ErrorKind::not_found, "there is no experiment " + std::to_string(id));
  return read_experiment(row);
}

std::vector<ExperimentRow> ExperimentStore::all() {
  std::vector<ExperimentRow> list;
  Statement row(connection_, std::string("SELECT ") + kExperimentColumns + " FROM experiments ORDER BY id DESC");
  while (row.step()) list.push_back(read_experiment(row));
  return list;
}

std::int64_t ExperimentStore::next_position(ExperimentId id) {
  const auto [last, is_new] = last_position_.try_emplace(id, 0);
  if (is_new) {
    Statement row(connection_, "SELECT coalesce(max(position), 0) FROM members WHERE experiment_id = ?", id);
    row.step();
    last->second = row.integer(0);
  }
  return ++last->second;
}

void ExperimentStore::put_member(const MemberRow& m) {
  Statement(connection_,
            "INSERT INTO members (experiment_id, name, run_id, position, baseline, baseline_key, notes, tags, varied, family) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET run_id = excluded.run_id, baseline = excluded.baseline, baseline_key = excluded.baseline_key, "
            "notes = excluded.notes, tags = excluded.tags, varied = excluded.varied, family = excluded.family",
            m.experiment_id, m.name, m.run_id, next_position(m.experiment_id), m.baseline, m.baseline_key, m.notes,
            nlohmann::json(m.tags).dump(), m.varied.dump(), m.family.empty() ? m.name : m.family)
      .run();
}

void ExperimentStore::drop_member(ExperimentId id, const std::string& name) {
  Statement(connection_, "DELETE FROM members WHERE experiment_id = ? AND name = ?", id, name).run();
}

std::optional<MemberRow> ExperimentStore::member(ExperimentId id, const std::string& name) {
  Statement row(connection_, std::string(kMemberSelect) + "WHERE m.experiment_id = ? AND m.name = ?", id, name);
  return row.step() ? std::optional(read_member(row)) : std::nullopt;
}

std::vector<MemberRow> ExperimentStore::members(ExperimentId id) {
  std::vector<MemberRow> list;
  Statement row(connection_, std::string(kMemberSelect) + "WHERE m.experiment_id = ? ORDER BY m.position", id);
  while (row.step()) list.push_back(read_member(row));
  return list;
}

std::vector<MemberRow> ExperimentStore::listings(RunId run_id) {
  std::vector<MemberRow> list;
  Statement row(connection_, std::string(kMemberSelect) + "WHERE m.run_id = ? ORDER BY m.experiment_id, m.position", run_id);
  while (row.step()) list.push_back(read_member(row));
  return list;
}

std::vector<ExperimentId> ExperimentStore::experiments_of(RunId run_id) {
  std::vector<ExperimentId> list;
  Statement row(connection_, "SELECT DISTINCT experiment_id FROM members WHERE run_id = ? ORDER BY experiment_id", run_id);
  while (row.step()) list.push_back(row.integer(0));
  return list;
}

bool ExperimentStore::is_baseline_of_others(RunId run_id, const std::string& key) {
  Statement row(connection_, "SELECT EXISTS (SELECT 1 FROM members WHERE baseline_key = ? AND run_id <> ?)", key, run_id);
  row.step();
  return row.boolean(0);
}

std::map<ExperimentId, int> ExperimentStore::limits() {
  std::map<ExperimentId, int> limits;
  Statement row(connection_, "SELECT id, max_concurrent FROM experiments WHERE max_concurrent > 0");
  while (row.step()) limits[row.integer(0)] = row.small(1);
  return limits;
}

}  // namespace moelab::db
