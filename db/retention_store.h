// Owns what retention asks of the database: which runs others need, which are archived, and forgetting experiments. Called by
// server/retention/; runs themselves are forgotten by RunStore::erase.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "db/experiment_store.h"
#include "db/run_store.h"

namespace moelab::db {

// A run that has not ended, and the directory its weights come from.
struct OriginRow {
  RunId run = 0;
  std::string directory;
};

class RetentionStore {
 public:
  explicit RetentionStore(Connection& connection) : connection_(connection) {}

  // Runs that one which has not ended depends on: it takes their weights, or waits for them.
  std::set<RunId> needed();
  // Runs that have not ended and depend on `id`.
  std::vector<RunId> dependents(RunId id);
  // train.init_from of runs that have not ended, where it names a directory. A run that is named is in needed() and dependents().
  std::vector<OriginRow> origins();

  void set_archived(RunId id, bool archived);
  // The experiment and its listings; the runs stay.
  void erase_experiment(ExperimentId id);

 private:
  Connection& connection_;
};

}  // namespace moelab::db
