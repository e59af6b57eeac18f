// Owns the JSON form of a RunConfig: nested objects, enums by name, null for an unset optional, every knob present.
#pragma once

#include <nlohmann/json.hpp>

#include "core/config.h"

namespace moelab::core {

nlohmann::json to_json(const RunConfig& config);

// Reads the nested form. Keys that are absent keep their default. Throws Error(config) listing every unknown key,
// wrong type and out-of-range value; `source` names the file or request in the message.
RunConfig config_from_json(const nlohmann::json& json, const std::string& source);

}  // namespace moelab::core
