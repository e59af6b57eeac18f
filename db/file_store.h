// Owns what a run has left in its directory: checkpoints and artifacts, by relative path. Called by server/ingest and
// run_service.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/run_store.h"

namespace moelab::db {

struct CheckpointRow {
  std::int64_t step = 0;
  std::string path;  // relative to the run directory
  bool best = false;
};

struct ArtifactRow {
  std::string name, kind;
  std::string path;  // relative to the run directory
};

class FileStore {
 public:
  explicit FileStore(Connection& connection) : connection_(connection) {}

  // A new best takes the mark from the one before.
  void put_checkpoint(RunId run, int attempt, const CheckpointRow& checkpoint);
  void put_artifact(RunId run, const ArtifactRow& artifact);
  // As MetricStore::supersede, for checkpoints.
  void supersede(RunId run, int attempt, std::int64_t step);
  std::vector<CheckpointRow> checkpoints(RunId run);  // by step
  std::vector<ArtifactRow> artifacts(RunId run);      // by path

 private:
  Connection& connection_;
};

}  // namespace moelab::db
