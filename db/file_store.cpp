#include "db/file_store.h"

#include "db/statement.h"

namespace moelab::db {

void FileStore::put_checkpoint(RunId run, int attempt, const CheckpointRow& c) {
  if (c.best) Statement(connection_, "UPDATE checkpoints SET best = 0 WHERE run_id = ?", run).run();
  Statement(connection_, "INSERT OR REPLACE INTO checkpoints (run_id, path, step, attempt, best) VALUES (?, ?, ?, ?, ?)", run, c.path,
            c.step, attempt, c.best)
      .run();
}

void FileStore::put_artifact(RunId run, const ArtifactRow& a) {
  Statement(connection_, "INSERT OR REPLACE INTO artifacts (run_id, path, name, kind) VALUES (?, ?, ?, ?)", run, a.path, a.name, a.kind)
      .run();
}

void FileStore::supersede(RunId run, int attempt, std::int64_t step) {
  Statement(connection_, "DELETE FROM checkpoints WHERE run_id = ?1 AND attempt < ?2 AND (step > ?3 OR ?3 = 0)", run, attempt, step).run();
}

std::vector<CheckpointRow> FileStore::checkpoints(RunId run) {
  std::vector<CheckpointRow> list;
  Statement row(connection_, "SELECT step, path, best FROM checkpoints WHERE run_id = ? ORDER BY step, path", run);
  while (row.step()) list.push_back({row.integer(0), row.text(1), row.boolean(2)});
  return list;
}

std::vector<ArtifactRow> FileStore::artifacts(RunId run) {
  std::vector<ArtifactRow> list;
  Statement row(connection_, "SELECT name, kind, path FROM artifacts WHERE run_id = ? ORDER BY path", run);
  while (row.step()) list.push_back({row.text(0), row.text(1), row.text(2)});
  return list;
}

}  // namespace moelab::db
