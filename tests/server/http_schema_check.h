// Owns checking a JSON value against a schema of openapi.yaml, as far as that file uses JSON Schema. Used by http_api_test.cpp.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace moelab::test {

class SchemaCheck {
 public:
  explicit SchemaCheck(const nlohmann::json& document) : document_(document) {}

  // Everything in `value` that `schema` does not allow, with its path; empty when it fits. Objects must not have properties
  // that the schema does not name, unless it allows additional ones: the contract is complete.
  std::vector<std::string> problems(const nlohmann::json& value, const nlohmann::json& schema) const {
    std::vector<std::string> found;
    check(value, schema, "", true, found);
    return found;
  }

 private:
  using Json = nlohmann::json;

  const Json& resolve(const Json& schema) const {
    return schema.contains("$ref") ? resolve(document_.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1)))) : schema;
  }

  static bool has_type(const Json& value, const std::string& type) {
    if (type == "null") return value.is_null();
    if (type == "boolean") return value.is_boolean();
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    if (type == "string") return value.is_string();
    if (type == "array") return value.is_array();
    return type == "object" && value.is_object();
  }

  static bool fits_type(const Json& value, const Json& type) {
    if (type.is_string()) return has_type(value, type);
    for (const Json& one : type) {
      if (has_type(value, one)) return true;
    }
    return false;
  }

  // Names that a schema knows, through allOf.
  void property_names(const Json& unresolved, std::vector<std::string>& names, bool& open) const {
    const Json& schema = resolve(unresolved);
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [name, property] : properties.items()) names.push_back(name);
    if (schema.contains("additionalProperties") && schema["additionalProperties"] != false) open = true;
    if (!schema.contains("properties") && !schema.contains("allOf")) open = true;
    for (const Json& part : schema.value("allOf", Json::array())) property_names(part, names, open);
  }

  void check(const Json& value, const Json& unresolved, const std::string& path, bool closed, std::vector<std::string>& found) const {
    const Json& schema = resolve(unresolved);
    if (schema.contains("type") && !fits_type(value, schema["type"])) {
      found.push_back(path + ": " + value.dump() + " is no " + schema["type"].dump());
      return;
    }
    if (schema.contains("const") && value != schema["const"])
      found.push_back(path + ": " + value.dump() + " is not " + schema["const"].dump());
    if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
      found.push_back(path + ": " + value.dump() + " is none of " + schema["enum"].dump());
    }
    for (const Json& part : schema.value("allOf", Json::array())) check(value, part, path, false, found);
    if (schema.contains("oneOf")) check_one_of(value, schema["oneOf"], path, found);
    if (value.is_object()) check_object(value, schema, path, closed, found);
    if (value.is_array() && schema.contains("items")) {
      for (std::size_t i = 0; i < value.size(); ++i) check(value[i], schema["items"], path + "/" + std::to_string(i), true, found);
    }
    if (value.is_array() && schema.contains("prefixItems")) {
      for (std::size_t i = 0; i < value.size() && i < schema["prefixItems"].size(); ++i) {
        check(value[i], schema["prefixItems"][i], path + "/" + std::to_string(i), true, found);
      }
    }
  }

  void check_one_of(const Json& value, const Json& choices, const std::string& path, std::vector<std::string>& found) const {
    int fitting = 0;
    for (const Json& choice : choices) {
      std::vector<std::string> misfits;
      check(value, choice, path, true, misfits);
      fitting += misfits.empty() ? 1 : 0;
    }
    if (fitting != 1) found.push_back(path + ": " + value.dump() + " fits " + std::to_string(fitting) + " of the choices");
  }

  void check_object(const Json& value, const Json& schema, const std::string& path, bool closed, std::vector<std::string>& found) const {
    for (const Json& name : schema.value("required", Json::array())) {
      if (!value.contains(name.get<std::string>())) found.push_back(path + ": lacks " + name.get<std::string>());
    }
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [name, child] : value.items()) {
      if (properties.contains(name)) {
        check(child, properties[name], path + "/" + name, true, found);
      } else if (schema.contains("additionalProperties") && schema["additionalProperties"].is_object()) {
        check(child, schema["additionalProperties"], path + "/" + name, true, found);
      }
    }
    if (!closed) return;
    std::vector<std::string> names;
    bool open = false;
    property_names(schema, names, open);
    for (const auto& [name, child] : value.items()) {
      if (!open && std::find(names.begin(), names.end(), name) == names.end())
        found.push_back(path + ": has " + name + ", which is not described");
    }
  }

  const nlohmann::json& document_;
};

}  // namespace moelab::test
