// Owns what the daemon as a whole remembers: small JSON values by name, such as the mode of the queue. Called by server/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "db/database.h"

namespace moelab::db {

class DaemonStateStore {
 public:
  explicit DaemonStateStore(Connection& connection) : connection_(connection) {}
  nlohmann::json get(const std::string& key);  // null when it was never set
  void set(const std::string& key, const nlohmann::json& value);

 private:
  Connection& connection_;
};

}  // namespace moelab::db
