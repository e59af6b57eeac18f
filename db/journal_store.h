// Owns how far each run's journal has been read. Written by server/ingest in the transaction that stores what was read, so
// that a crash between the two is impossible and a second reading changes nothing.
#pragma once

#include <cstdint>

#include "db/run_store.h"

namespace moelab::db {

struct JournalPosition {
  std::int64_t byte_offset = 0;  // of the first line not yet read
  int attempt = 0;               // of the newest event applied
  std::int64_t seq = 0;          // its number within the attempt
  bool operator==(const JournalPosition&) const = default;
};

class JournalStore {
 public:
  explicit JournalStore(Connection& connection) : connection_(connection) {}
  JournalPosition position(RunId run);  // zeros for a journal never read
  void set_position(RunId run, const JournalPosition& position);

 private:
  Connection& connection_;
};

}  // namespace moelab::db
