#include "core/map_reader.h"

#include <algorithm>
#include <utility>

#include "core/nearest_name.h"
#include "core/number_text.h"

namespace moelab::core {

MapReader::MapReader(const Node& node, std::string prefix, std::vector<Problem>& problems)
    : node_(node), prefix_(std::move(prefix)), problems_(problems) {
  if (node.is_map()) return;
  const std::string owner = prefix_.empty() ? "" : prefix_.substr(0, prefix_.size() - 1);
  problems_.push_back({owner, node.line, "must be a map of keys and values, not " + describe(node)});
}

bool MapReader::is_known(const std::string& key) const {
  return std::find(known_.begin(), known_.end(), key) != known_.end();
}

const Node* MapReader::find(const std::string& key) {
  if (!is_known(key)) known_.push_back(key);
  const Node* value = node_.find(key);
  return value && !value->is_null() ? value : nullptr;
}

std::string MapReader::text(const std::string& key) {
  const Node* value = find(key);
  if (!value) return "";
  if (!value->is_scalar()) report(key, "must be one text, not " + describe(*value));
  return value->text;
}

std::optional<int> MapReader::integer(const std::string& key, int min, int max) {
  const Node* value = find(key);
  if (!value) return std::nullopt;
  const std::optional<std::int64_t> number = value->is_scalar() && !value->quoted ? parse_integer(value->text) : std::nullopt;
  if (number && *number >= min && *number <= max) return static_cast<int>(*number);
  report(key, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max) + ", not " + describe(*value));
  return std::nullopt;
}

std::vector<std::string> MapReader::texts(const std::string& key) {
  std::vector<std::string> texts;
  const Node* value = find(key);
  if (!value) return texts;
  if (value->is_scalar()) return {value->text};
  for (const Node& item : value->items) {
    if (item.is_scalar()) texts.push_back(item.text);
  }
  if (!value->is_list() || texts.size() != value->items.size()) report(key, "must be a list of texts");
  return texts;
}

int MapReader::line_of(const std::string& key) const {
  for (const NodeEntry& entry : node_.entries) {
    if (entry.key == key) return entry.line;
  }
  return node_.line;
}

void MapReader::report(const std::string& key, const std::string& message) {
  problems_.push_back({prefix_ + key, line_of(key), message});
}

void MapReader::report_unknown() {
  for (const NodeEntry& entry : node_.entries) {
    if (!is_known(entry.key)) report(entry.key, "unknown key" + did_you_mean(entry.key, known_));
  }
}

Node MapReader::rest() const {
  Node map;
  map.kind = Node::Kind::map;
  map.line = node_.line;
  for (const NodeEntry& entry : node_.entries) {
    if (!is_known(entry.key)) map.entries.push_back(entry);
  }
  return map;
}

}  // namespace moelab::core
