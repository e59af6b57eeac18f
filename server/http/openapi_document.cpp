#include "server/http/openapi_document.h"

#include <charconv>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/node.h"
#include "core/yaml_document.h"

namespace moelab::server::http {

namespace {

using nlohmann::json;

// Plain scalars that YAML's JSON schema reads as something else than text.
json scalar_json(const core::Node& node) {
  if (node.quoted) return node.text;
  if (node.text == "true") return true;
  if (node.text == "false") return false;
  std::int64_t integer = 0;
  const char* const end = node.text.data() + node.text.size();
  const auto [rest, error] = std::from_chars(node.text.data(), end, integer);
  if (error == std::errc{} && rest == end) return integer;
  return node.text;
}

json node_json(const core::Node& node) {
  switch (node.kind) {
    case core::Node::Kind::null:
      return nullptr;
    case core::Node::Kind::scalar:
      return scalar_json(node);
    case core::Node::Kind::list: {
      json list = json::array();
      for (const core::Node& item : node.items) list.push_back(node_json(item));
      return list;
    }
    case core::Node::Kind::map: {
      json map = json::object();
      for (const core::NodeEntry& entry : node.entries) map[entry.key] = node_json(entry.value);
      return map;
    }
  }
  return nullptr;
}

json parse_document() {
  std::vector<core::Problem> problems;
  const core::Node root = core::parse_yaml(std::string(openapi_yaml()), "openapi.yaml", problems);
  if (!problems.empty()) throw core::Error(core::ErrorKind::internal, "openapi.yaml", problems);
  return node_json(root);
}

}  // namespace

const json& openapi_document() {
  static const json document = parse_document();
  return document;
}

}  // namespace moelab::server::http
