#include "db/alert_store.h"

#include <algorithm>

#include "db/statement.h"

namespace moelab::db {

void AlertStore::put(RunId run, const AlertRow& a) {
  Statement(connection_, "INSERT OR IGNORE INTO alerts (run_id, attempt, seq, step, time_ms, code, message) VALUES (?, ?, ?, ?, ?, ?, ?)",
            run, a.attempt, a.seq, a.step, a.time, a.code, a.message)
      .run();
}

std::vector<AlertRow> AlertStore::list(RunId run, std::int64_t limit) {
  std::vector<AlertRow> list;
  Statement row(connection_,
                "SELECT attempt, seq, step, time_ms, code, message FROM alerts WHERE run_id = ? ORDER BY attempt DESC, seq DESC LIMIT ?",
                run, limit);
  while (row.step()) list.push_back({row.small(0), row.integer(1), row.integer(2), row.time(3), row.text(4), row.text(5)});
  std::reverse(list.begin(), list.end());
  return list;
}

}  // namespace moelab::db
