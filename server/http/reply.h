// Owns how a handler answers with JSON. Used by every <noun>_api.cpp and by http_server.cpp.
#pragma once

#include <httplib.h>

#include <nlohmann/json.hpp>

namespace moelab::server::http {

// Bytes that are no UTF-8 (a log line may hold any) become U+FFFD, so the answer is always JSON.
inline void reply_json(httplib::Response& response, const nlohmann::json& body, int status = 200) {
  response.status = status;
  response.set_content(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), "application/json");
  response.set_header("Cache-Control", "no-store");
}

}  // namespace moelab::server::http
