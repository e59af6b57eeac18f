// Owns the way from a worker's journal into the database: reads runs/<id>/events.jsonl from where it stopped, whole lines
// only, and applies each batch together with the new position in one transaction. So reading twice, or dying between two
// lines, changes nothing. Called by the ingest thread, and by the dispatcher when a worker has gone; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "core/clock.h"
#include "core/event.h"
#include "db/database.h"
#include "db/journal_store.h"
#include "server/event_bus.h"
#include "server/metrics_registry.h"
#include "server/paths.h"

namespace moelab::server {

class Ingest {
 public:
  // `metrics` may be null, and outlives this otherwise.
  Ingest(db::Database& database, HomePaths paths, const core::Clock& clock, EventBus& bus, MetricsRegistry* metrics = nullptr);

  // Reads what every live run has journalled since. Errors of one run are logged and do not stop the others.
  void drain_live();
  // Reads the journal of one run to its last whole line. A line that is no event is logged once and skipped. A missing or
  // unchanged journal is fine; one that has become shorter is read again from its start, where known events are skipped.
  void drain(std::int64_t run_id);
  // The same when its writer is gone: on a shared file system the size of a file may be an old one until the file is opened.
  void drain_to_the_end(std::int64_t run_id);

 private:
  // One transaction. False when nothing was left to read.
  bool read_batch(std::int64_t run_id);

  db::Database& database_;
  HomePaths paths_;
  const core::Clock& clock_;
  EventBus& bus_;
  MetricsRegistry* metrics_;
  std::mutex mutex_;
  std::map<std::int64_t, std::int64_t> read_to_;    // run -> byte offset, so that an unchanged file costs one stat
  std::map<std::int64_t, std::string> last_error_;  // run -> message, so that a lasting error is logged once
};

// Applies one event to the stores, in the caller's transaction. Throws core::Error or a JSON exception when its payload is
// not as core/event.h says.
void apply_event(db::Connection& connection, std::int64_t run_id, const core::Event& event, core::TimePoint now);

}  // namespace moelab::server
