// Owns the alerts that workers have raised: conditions worth a look, from their journals. Called by server/ingest (put) and
// run_service (list).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/run_store.h"

namespace moelab::db {

struct AlertRow {
  int attempt = 0;
  std::int64_t seq = 0;  // of its event in the journal of that attempt
  std::int64_t step = 0;
  core::TimePoint time;
  std::string code;  // "loss_spike"; see worker/train/health_watch.h
  std::string message;
};

class AlertStore {
 public:
  explicit AlertStore(Connection& connection) : connection_(connection) {}

  // An alert that is there already stays as it is. A new one becomes a notice too, in the same transaction.
  void put(RunId run, const AlertRow& alert);
  // The newest `limit`, oldest first.
  std::vector<AlertRow> list(RunId run, std::int64_t limit);

 private:
  Connection& connection_;
};

}  // namespace moelab::db
