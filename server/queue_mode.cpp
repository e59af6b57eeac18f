#include "server/queue_mode.h"

#include <array>

#include "db/daemon_state_store.h"

namespace moelab::server {
namespace {

constexpr const char* kKey = "queue";
constexpr std::array<const char*, 3> kNames{"open", "held", "drained"};

}  // namespace

std::string QueueMode::closed() const {
  if (kind == Kind::open) return "";
  const std::string verb = kind == Kind::held ? "the queue is on hold" : "the server is drained";
  return "waits: " + verb + (reason.empty() ? "" : " (" + reason + ")") + "; `moelab release` opens it";
}

std::string to_string(QueueMode::Kind kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

QueueMode read_queue_mode(db::Connection& connection) {
  const nlohmann::json json = db::DaemonStateStore(connection).get(kKey);
  QueueMode mode;
  if (!json.is_object()) return mode;
  const std::string name = json.value("mode", "open");
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) mode.kind = static_cast<QueueMode::Kind>(i);
  }
  mode.reason = json.value("reason", "");
  if (json.contains("since")) mode.since = core::from_rfc3339(json.at("since").get<std::string>());
  return mode;
}

void write_queue_mode(db::Connection& connection, const QueueMode& mode) {
  nlohmann::json json = {{"mode", to_string(mode.kind)}, {"reason", mode.reason}};
  if (mode.since) json["since"] = core::to_rfc3339(*mode.since);
  db::DaemonStateStore(connection).set(kKey, json);
}

}  // namespace moelab::server
