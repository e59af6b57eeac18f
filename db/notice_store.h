// Owns the notices: state changes of runs and alerts of workers that have not been passed on yet. Triggers of the schema write
// them in the transaction of the change itself; server/notice/ takes them, and what it makes of them is stored in the
// transaction that drops them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/run_store.h"

namespace moelab::db {

struct NoticeRow {
  std::int64_t id = 0;  // ascending, never used twice
  std::string type;     // "run_state" | "alert"
  core::TimePoint time;
  RunId run = 0;  // may have been deleted since
  std::string name;
  std::vector<std::string> experiments;  // names of those that list the run
  int attempt = 0;
  std::int64_t step = 0;
  std::string device;  // empty = none
  std::string state, from_state;
  std::string reason;  // of an alert: its message
  std::string code;    // of an alert
};

class NoticeStore {
 public:
  explicit NoticeStore(Connection& connection) : connection_(connection) {}

  std::vector<NoticeRow> oldest(std::int64_t limit);
  void drop_up_to(std::int64_t id);
  // The newest id there has ever been; 0 = none.
  std::int64_t last_id();
  // Random, made with the database: event ids start with it.
  std::string stream();
  // How long the run had been in the queue when it left it at `left`; nothing when it was not queued before.
  std::optional<std::chrono::milliseconds> queue_wait(RunId run, core::TimePoint left);

 private:
  Connection& connection_;
};

}  // namespace moelab::db
