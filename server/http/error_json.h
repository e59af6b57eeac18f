// Owns how a core::Error looks to an HTTP client. Called by http_server.cpp (the one place that catches) and by cli/client.cpp,
// which turns the body back into the same error.
#pragma once

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace moelab::server::http {

int http_status(core::ErrorKind kind);

// {"error": {"code", "message", "details": [{"path", "line", "message"}]}}
nlohmann::json error_json(const core::Error& error);

// The error that `body` describes; kind internal when it is no such body. `status` is the HTTP status it came with.
core::Error error_from_response(int status, const std::string& body);

}  // namespace moelab::server::http
