#include "db/daemon_state_store.h"

#include "db/statement.h"

namespace moelab::db {

nlohmann::json DaemonStateStore::get(const std::string& key) {
  Statement row(connection_, "SELECT value FROM daemon_state WHERE key = ?", key);
  return row.step() ? nlohmann::json::parse(row.text(0)) : nlohmann::json();
}

void DaemonStateStore::set(const std::string& key, const nlohmann::json& value) {
  Statement(connection_, "INSERT OR REPLACE INTO daemon_state (key, value) VALUES (?, ?)", key, value.dump()).run();
}

}  // namespace moelab::db
