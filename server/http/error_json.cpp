#include "server/http/error_json.h"

#include <array>

namespace moelab::server::http {

namespace {

using core::ErrorKind;

struct Row {
  ErrorKind kind;
  int status;
};

constexpr std::array kStatuses = {
    Row{ErrorKind::usage, 400},        Row{ErrorKind::config, 422},   Row{ErrorKind::data, 422},
    Row{ErrorKind::not_found, 404},    Row{ErrorKind::conflict, 409}, Row{ErrorKind::unreachable, 503},
    Row{ErrorKind::unauthorized, 401}, Row{ErrorKind::storage, 500},  Row{ErrorKind::internal, 500},
};

}  // namespace

int http_status(ErrorKind kind) {
  for (const Row& row : kStatuses) {
    if (row.kind == kind) return row.status;
  }
  return 500;
}

nlohmann::json error_json(const core::Error& error) {
  nlohmann::json details = nlohmann::json::array();
  for (const core::Problem& problem : error.problems()) {
    details.push_back({{"path", problem.path}, {"line", problem.line}, {"message", problem.message}});
  }
  return {{"error", {{"code", core::to_string(error.kind())}, {"message", error.what()}, {"details", std::move(details)}}}};
}

core::Error error_from_response(int status, const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    const std::string code = json["error"].value("code", "");
    for (const Row& row : kStatuses) {
      if (core::to_string(row.kind) == code) return core::Error(row.kind, json["error"].value("message", code));
    }
  }
  return core::Error(ErrorKind::internal, "The server answered " + std::to_string(status) + " without saying why; is it a Moelab daemon?");
}

}  // namespace moelab::server::http
