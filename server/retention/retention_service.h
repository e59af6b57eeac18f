// Owns deleting runs with their files, and gc. (Archiving is a verb like others: run_verbs.h.) Called by REST through run_service, and by
// App at start and once an hour. Safe to call from any thread. Throws core::Error: not_found for an unknown id, conflict for a run that
// may not go, and then nothing has been changed; storage when the home cannot be written.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "db/database.h"
#include "server/event_bus.h"
#include "server/paths.h"
#include "server/retention/gc.h"
#include "server/views.h"

namespace moelab::server {

struct Deleted {
  std::vector<RunId> runs;  // gone, with their directories
  std::vector<RunId> kept;  // of a deleted experiment: another one lists them
};

class RetentionService {
 public:
  RetentionService(db::Database& database, HomePaths paths, const core::Clock& clock, EventBus& bus)
      : database_(database), paths_(std::move(paths)), clock_(clock), bus_(bus) {}

  // Where an earlier daemon ended in the middle of a deletion: a run whose row is still there comes back. Before any run is started.
  void put_back_half_deleted();
  // What else it left in the trash.
  void empty_trash();

  // Runs without a worker that no run which has not ended depends on, but for others of `ids`. All or none.
  Deleted remove(const std::vector<RunId>& ids);
  // The experiment, with its runs that no other experiment lists.
  Deleted remove_experiment(ExperimentId id);

  GcReport gc(const GcRules& rules, bool dry_run);

 private:
  Deleted remove(std::vector<RunId> ids, std::optional<ExperimentId> experiment);
  void publish(const std::vector<RunId>& ids);

  db::Database& database_;
  HomePaths paths_;
  const core::Clock& clock_;
  EventBus& bus_;
  std::mutex mutex_;  // whoever fills the trash empties it before the next one does
};

}  // namespace moelab::server
