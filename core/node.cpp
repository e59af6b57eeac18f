#include "core/node.h"

#include <utility>

namespace moelab::core {
namespace {

// An unclosed quote swallows the rest of a file: enough of it to recognise the place.
std::string shortened(const std::string& text) {
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

}  // namespace

const Node* Node::find(const std::string& key) const {
  for (const NodeEntry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

Node Node::scalar(std::string text, int line, bool quoted) {
  Node node;
  node.kind = Kind::scalar;
  node.line = line;
  node.text = std::move(text);
  node.quoted = quoted;
  return node;
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return node.quoted ? "the text \"" + shortened(node.text) + '"' : "'" + shortened(node.text) + "'";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "";
}

std::string to_text(const Node& node) {
  std::string text;
  switch (node.kind) {
    case Node::Kind::null:
      return "null";
    case Node::Kind::scalar:
      return node.text;
    case Node::Kind::list:
      for (const Node& item : node.items) text += (text.empty() ? "" : ", ") + to_text(item);
      return "[" + text + "]";
    case Node::Kind::map:
      for (const NodeEntry& entry : node.entries) text += (text.empty() ? "" : ", ") + entry.key + ": " + to_text(entry.value);
      return "{" + text + "}";
  }
  return text;
}

Node node_from_json(const nlohmann::json& json) {
  Node node;
  if (json.is_null()) return node;
  if (json.is_string()) return Node::scalar(json.get<std::string>(), 0, true);
  if (json.is_array()) {
    node.kind = Node::Kind::list;
    for (const auto& item : json) node.items.push_back(node_from_json(item));
    return node;
  }
  if (json.is_object()) {
    node.kind = Node::Kind::map;
    for (const auto& [key, value] : json.items()) node.entries.push_back({key, 0, node_from_json(value)});
    return node;
  }
  return Node::scalar(json.dump());
}

}  // namespace moelab::core
