#include "db/retention_store.h"

#include "db/statement.h"

namespace moelab::db {
namespace {

// "('queued', ...)": every state in which a run may still do something.
const std::string& open_states() {
  static const std::string list = [] {
    std::string text;
    for (const core::RunState state : core::all_run_states()) {
      if (!core::is_terminal(state)) text += (text.empty() ? "('" : ", '") + core::to_string(state) + "'";
    }
    return text + ")";
  }();
  return list;
}

}  // namespace

std::set<RunId> RetentionStore::needed() {
  std::set<RunId> ids;
  Statement row(connection_,
                "SELECT DISTINCT n.id FROM dependencies d JOIN runs r ON r.id = d.run_id JOIN runs n ON n.key = d.key WHERE r.state IN " +
                    open_states());
  while (row.step()) ids.insert(row.integer(0));
  return ids;
}

std::vector<RunId> RetentionStore::dependents(RunId id) {
  std::vector<RunId> ids;
  Statement row(connection_,
                "SELECT r.id FROM runs n JOIN dependencies d ON d.key = n.key JOIN runs r ON r.id = d.run_id "
                "WHERE n.id = ? AND r.state IN " + open_states() + " ORDER BY r.id",
                id);
  while (row.step()) ids.push_back(row.integer(0));
  return ids;
}

std::vector<OriginRow> RetentionStore::origins() {
  std::vector<OriginRow> rows;
  Statement row(connection_,
                "SELECT id, json_extract(spec, '$.config.train.init_from') AS path FROM runs "
                "WHERE path <> '' AND path NOT LIKE 'run:%' AND state IN " + open_states() + " ORDER BY id");
  while (row.step()) rows.push_back({row.integer(0), row.text(1)});
  return rows;
}

void RetentionStore::set_archived(RunId id, bool archived) {
  Statement(connection_, "UPDATE runs SET archived = ? WHERE id = ?", archived ? 1 : 0, id).run();
}

void RetentionStore::erase_experiment(ExperimentId id) {
  Statement(connection_, "DELETE FROM experiments WHERE id = ?", id).run();
}

}  // namespace moelab::db
