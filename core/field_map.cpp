#include "core/field_map.h"

#include <algorithm>

#include "core/field_io.h"
#include "core/nearest_name.h"

namespace moelab::core {
namespace {

class Flattener {
 public:
  explicit Flattener(std::vector<Problem>& problems) : problems_(problems) {}

  void walk(const Node& map, const std::string& prefix) {
    for (const NodeEntry& entry : map.entries) {
      const std::string path = prefix + entry.key;
      if (is_field(path)) {
        add(path, entry);
      } else if (is_group(path)) {
        if (entry.value.is_map()) {
          walk(entry.value, path + '.');
        } else {
          problems_.push_back({path, entry.line, "must be a map of knobs, not " + describe(entry.value)});
        }
      } else {
        problems_.push_back({path, entry.line, "unknown key" + did_you_mean_field(path)});
      }
    }
  }

  std::vector<Assignment> take() { return std::move(assignments_); }

 private:
  static bool is_group(const std::string& path) {
    return std::find(field_groups().begin(), field_groups().end(), path) != field_groups().end();
  }

  void add(const std::string& path, const NodeEntry& entry) {
    for (const Assignment& earlier : assignments_) {
      if (earlier.path != path) continue;
      const std::string where = earlier.line > 0 ? ", first in line " + std::to_string(earlier.line) : "";
      problems_.push_back({path, entry.line, "is given twice" + where});
      return;
    }
    const Node* literal = entry.value.entries.size() == 1 ? entry.value.find("value") : nullptr;
    assignments_.push_back({path, literal ? *literal : entry.value, entry.line, "", literal != nullptr});
  }

  std::vector<Problem>& problems_;
  std::vector<Assignment> assignments_;
};

std::string last_segment(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

}  // namespace

std::vector<Assignment> read_field_map(const Node& map, const std::string& where, std::vector<Problem>& problems) {
  if (map.is_null()) return {};
  if (!map.is_map()) {
    problems.push_back({where, map.line, "must be a map of knobs, not " + describe(map)});
    return {};
  }
  Flattener flattener(problems);
  flattener.walk(map, "");
  return flattener.take();
}

std::string did_you_mean_field(const std::string& path) {
  std::vector<std::string> known = field_paths();
  known.insert(known.end(), field_groups().begin(), field_groups().end());
  // A right name in the wrong group ("lr", "model.lb_coeff") is likelier than a slip of letters.
  for (const std::string& candidate : field_paths()) {
    if (last_segment(candidate) == last_segment(path)) return " (did you mean '" + candidate + "'?)";
  }
  const std::string hint = did_you_mean(path, known);
  if (!hint.empty()) return hint;
  std::vector<std::string> lasts;
  for (const std::string& candidate : field_paths()) lasts.push_back(last_segment(candidate));
  const std::string nearest = nearest_name(last_segment(path), lasts);
  for (const std::string& candidate : field_paths()) {
    if (!nearest.empty() && last_segment(candidate) == nearest) return " (did you mean '" + candidate + "'?)";
  }
  return "";
}

}  // namespace moelab::core
