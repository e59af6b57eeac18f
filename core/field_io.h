// Owns reading and writing one knob: from a Node with type and range checks, and to JSON. The only code that knows the field
// types; config_json.cpp, the matrix expansion, the run key and `moelab schema` call it through dotted paths.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/node.h"

namespace moelab::core {

// Every dotted path in declared order, e.g. "moe.lb_coeff".
const std::vector<std::string>& field_paths();
// "model", "moe", ...: the first segments of dotted paths.
const std::vector<std::string>& field_groups();
bool is_field(const std::string& path);
// Fields that hold a list or a map (data.path, moe.moe_layers, data.domains): a list there is no slip for an axis.
bool holds_several_values(const std::string& path);
// Fields that name files or directories (FieldScope::source).
bool is_source_field(const std::string& path);
bool is_integer_field(const std::string& path);

// Sets `path` of `config` from `value`. Returns the problem as a message without the key ("must be at least 1, not 0"), or
// nullopt when it fitted; on a problem `config` is unchanged. `path` must be a field.
std::optional<std::string> read_field(RunConfig& config, const std::string& path, const Node& value);

nlohmann::json field_json(const RunConfig& config, const std::string& path);
// All values, in the order of field_paths().
std::vector<nlohmann::json> field_values(const RunConfig& config);
// What each field decides, in the same order.
const std::vector<FieldScope>& field_scopes();

// Every knob as JSON for `moelab schema` and GET /schema: path, type, default, min, max, choices (choice_docs: their
// meaning, where a choice is a method of its own), unit, doc, in the key or not.
nlohmann::json schema_json();

}  // namespace moelab::core
