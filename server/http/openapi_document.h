// Owns the REST contract inside the executable: openapi.yaml, embedded when the build is configured. Served by service_api.cpp.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace moelab::server::http {

// The text of openapi.yaml.
std::string_view openapi_yaml();

// The same as JSON; parsed once.
const nlohmann::json& openapi_document();

}  // namespace moelab::server::http
