// Owns whether the server as a whole starts runs, kept in the database so that a restart changes nothing. Set by run_service, obeyed by
// the dispatcher.
#pragma once

#include <optional>
#include <string>

#include "core/clock.h"
#include "db/database.h"

namespace moelab::server {

struct QueueMode {
  enum class Kind {
    open,
    held,      // nothing is started; what runs goes on
    drained,   // nothing is started; what runs checkpoints and goes back to the queue
  };
  Kind kind = Kind::open;
  std::string reason;  // a person's words; may be empty
  std::optional<core::TimePoint> since;

  // Why nothing is started, for people; empty while the queue is open.
  std::string closed() const;
};

std::string to_string(QueueMode::Kind kind);
QueueMode read_queue_mode(db::Connection& connection);
void write_queue_mode(db::Connection& connection, const QueueMode& mode);

}  // namespace moelab::server
