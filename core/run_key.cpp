#include "core/run_key.h"

#include <nlohmann/json.hpp>

#include "core/field_io.h"
#include "core/origin.h"
#include "core/sha256.h"

namespace moelab::core {
namespace {

std::vector<std::string> names_in(const nlohmann::json& value) {
  std::vector<std::string> names;
  if (value.is_array()) {
    for (const auto& item : value) names.push_back(item.get<std::string>());
  } else if (value.is_string() && !value.get<std::string>().empty()) {
    names.push_back(value.get<std::string>());
  }
  return names;
}

// The content of the files that `names` stand for; their names when some are missing, which `missing` then says.
nlohmann::json content_of(const std::vector<std::string>& names, const std::string& path, ContentHasher& hasher,
                          std::vector<Problem>& missing) {
  if (names.empty()) return nullptr;
  const ContentHash& content = hasher.hash(source_kind(path), names);
  for (const std::string& message : content.missing) missing.push_back({path, 0, message});
  if (content.missing.empty()) return content.hex;
  return {{"missing", names}};
}

}  // namespace

RunKey run_key(const RunConfig& config, ContentHasher& hasher) {
  RunKey key;
  nlohmann::json spec = {{"run key", kRunKeyFormat}};  // keys of a JSON object are sorted: declaring order does not matter
  const std::vector<nlohmann::json> values = field_values(config);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string& path = field_paths()[i];
    switch (field_scopes()[i]) {
      case FieldScope::operation:
        break;
      case FieldScope::result:
        spec[path] = values[i];
        break;
      case FieldScope::source: {
        if (path == "train.init_from" && origin_of(config)) {  // another run: its key stands for its content
          spec[path] = values[i];
          break;
        }
        if (!values[i].is_object()) {
          spec[path] = content_of(names_in(values[i]), path, hasher, key.missing);
          break;
        }
        // A domain's name is in the names of its metrics, so it counts beside its content.
        spec[path] = nlohmann::json::object();
        for (const auto& [domain, names] : values[i].items()) spec[path][domain] = content_of(names_in(names), path, hasher, key.missing);
      }
    }
  }
  key.hex = sha256_hex(spec.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return key;
}

}  // namespace moelab::core
