// Owns the value tree that configuration text becomes before it is typed: null, scalar, list or map, each with the line it
// came from. YAML, JSON and command-line overrides all turn into it, so one reader (field_io.h) serves them all.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace moelab::core {

struct NodeEntry;

struct Node {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  int line = 0;         // 1-based; 0 when the value has no file
  std::string text;     // scalar only
  bool quoted = false;  // scalar only: a string for certain, never a number, boolean or null
  std::vector<Node> items;
  std::vector<NodeEntry> entries;  // in file order, keys unique

  bool is_null() const { return kind == Kind::null; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_list() const { return kind == Kind::list; }
  bool is_map() const { return kind == Kind::map; }
  // The value under `key` of a map; nullptr when absent or when this is no map.
  const Node* find(const std::string& key) const;

  static Node scalar(std::string text, int line = 0, bool quoted = false);
};

struct NodeEntry {
  std::string key;
  int line = 0;
  Node value;
};

// "a map", "a list", "nothing", "'text'": for messages of the form "must be X, not Y".
std::string describe(const Node& node);
// The node as a person would type it, on one line: 1.5, true, [1, 2], null.
std::string to_text(const Node& node);
// Strings become quoted scalars; numbers and booleans plain ones. Lines are 0.
Node node_from_json(const nlohmann::json& json);

}  // namespace moelab::core
