#include "core/config_json.h"

#include "core/error.h"
#include "core/field_io.h"
#include "core/field_map.h"

namespace moelab::core {

nlohmann::json to_json(const RunConfig& config) {
  nlohmann::json json = nlohmann::json::object();
  const std::vector<nlohmann::json> values = field_values(config);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string& path = field_paths()[i];
    const std::size_t dot = path.find('.');
    (dot == std::string::npos ? json[path] : json[path.substr(0, dot)][path.substr(dot + 1)]) = values[i];
  }
  return json;
}

RunConfig config_from_json(const nlohmann::json& json, const std::string& source) {
  std::vector<Problem> problems;
  RunConfig config;
  for (const Assignment& assignment : read_field_map(node_from_json(json), "", problems)) {
    if (const auto problem = read_field(config, assignment.path, assignment.value)) problems.push_back({assignment.path, 0, *problem});
  }
  if (!problems.empty()) throw Error(ErrorKind::config, source, problems);
  return config;
}

}  // namespace moelab::core
