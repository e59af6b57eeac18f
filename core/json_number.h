// Owns how NaN and infinities travel in JSON: as the strings "NaN", "Infinity", "-Infinity" (as protobuf's JSON does).
#pragma once

#include <nlohmann/json.hpp>

namespace moelab::core {

nlohmann::json number_to_json(double value);
// Accepts numbers and the three strings; throws Error(config) otherwise.
double number_from_json(const nlohmann::json& json);

}  // namespace moelab::core
