#include "db/journal_store.h"

#include "db/statement.h"

namespace moelab::db {

JournalPosition JournalStore::position(RunId run) {
  Statement row(connection_, "SELECT byte_offset, attempt, seq FROM journals WHERE run_id = ?", run);
  return row.step() ? JournalPosition{row.integer(0), row.small(1), row.integer(2)} : JournalPosition{};
}

void JournalStore::set_position(RunId run, const JournalPosition& p) {
  Statement(connection_, "INSERT OR REPLACE INTO journals (run_id, byte_offset, attempt, seq) VALUES (?, ?, ?, ?)", run, p.byte_offset,
            p.attempt, p.seq)
      .run();
}

}  // namespace moelab::db
