#include "db/attempt_clock.h"

#include "db/statement.h"

namespace moelab::db {

void restart_attempt_clock(Connection& connection, RunId id, core::TimePoint now) {
  Statement(connection, "UPDATE runs SET attempt_ms = ? WHERE id = ?", now, id).run();
}

}  // namespace moelab::db
