#include "core/run_spec.h"

#include "core/config_json.h"
#include "core/error.h"

namespace moelab::core {

nlohmann::json to_json(const RunSpec& spec) {
  return {{"matrix", spec.matrix},
          {"experiment", spec.experiment},
          {"name", spec.name},
          {"family", spec.family},
          {"baseline", spec.baseline},
          {"baseline_key", spec.baseline_key},
          {"key", spec.key},
          {"depends_on", spec.depends_on},
          {"notes", spec.notes},
          {"tags", spec.tags},
          {"priority", spec.priority},
          {"max_concurrent", spec.max_concurrent},
          {"config", to_json(spec.config)}};
}

RunSpec run_spec_from_json(const nlohmann::json& json, const std::string& source) {
  RunSpec spec;
  try {
    spec.matrix = json.value("matrix", "");
    spec.experiment = json.value("experiment", "");
    spec.name = json.at("name").get<std::string>();
    spec.family = json.value("family", spec.name);
    spec.baseline = json.value("baseline", "");
    spec.baseline_key = json.value("baseline_key", "");
    spec.key = json.value("key", "");
    spec.depends_on = json.value("depends_on", std::vector<std::string>{});
    spec.notes = json.value("notes", "");
    spec.tags = json.value("tags", std::vector<std::string>{});
    spec.priority = json.value("priority", 0);
    spec.max_concurrent = json.value("max_concurrent", 0);
    spec.config = config_from_json(json.at("config"), source);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::config, source + " is not a run specification: " + error.what());
  }
  return spec;
}

}  // namespace moelab::core
