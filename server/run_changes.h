// Owns a change of a run: one transaction, then the notice of it and of the experiments that list it. Any thread.
#pragma once

#include <functional>

#include "db/database.h"
#include "db/run_store.h"
#include "server/event_bus.h"

namespace moelab::server {

class RunChanges {
 public:
  RunChanges(db::Database& database, EventBus& bus) : database_(database), bus_(bus) {}

  void change(db::RunId run, const std::function<void(db::RunStore&)>& work);
  // `work` tells whether it did anything; if not, nothing is said.
  void change_if(db::RunId run, const std::function<bool(db::RunStore&)>& work);
  // For a change that was made elsewhere. Does not throw: what has happened is not undone by nobody being told.
  void publish(db::RunId run);

 private:
  db::Database& database_;
  EventBus& bus_;
};

}  // namespace moelab::server
