#include "core/yaml_document.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <utility>

namespace moelab::core {
namespace {

int line_of(const YAML::Mark& mark) {
  return mark.is_null() ? 0 : mark.line + 1;
}

class Converter {
 public:
  Converter(std::string source_name, std::vector<Problem>& problems) : source_name_(std::move(source_name)), problems_(problems) {}

  // `path` leads to the value, for messages.
  Node convert(const YAML::Node& yaml, const std::string& path, int depth) {
    const int line = line_of(yaml.Mark());
    if (depth > kMaxYamlDepth) refuse(line, "is nested more than " + std::to_string(kMaxYamlDepth) + " levels deep");
    if (++nodes_ > kMaxYamlNodes) {
      refuse(line, "expands to more than " + std::to_string(kMaxYamlNodes) + " values; use fewer or smaller aliases");
    }
    Node node;
    node.line = line;
    if (yaml.IsNull()) return node;
    check_tag(yaml, path, line);
    if (yaml.IsScalar()) return Node::scalar(yaml.Scalar(), line, yaml.Tag() == "!" || yaml.Tag() == kStringTag);
    if (yaml.IsSequence()) {
      node.kind = Node::Kind::list;
      for (const YAML::Node& item : yaml) {
        node.items.push_back(convert(item, path + '[' + std::to_string(node.items.size()) + ']', depth + 1));
      }
      return node;
    }
    node.kind = Node::Kind::map;
    std::vector<Node> merged;
    for (const auto& pair : yaml) {
      if (!pair.first.IsScalar()) {
        problems_.push_back({path, line_of(pair.first.Mark()), "a key must be one word, not a list, a map or nothing"});
        continue;
      }
      const std::string& key = pair.first.Scalar();
      const std::string below = path.empty() ? key : path + '.' + key;
      NodeEntry entry{key, line_of(pair.first.Mark()), convert(pair.second, below, depth + 1)};
      if (entry.key == "<<") {
        merged.push_back(std::move(entry.value));
      } else if (const auto earlier = find_entry(node, entry.key); earlier != node.entries.end()) {
        problems_.push_back({below, entry.line, "is given twice, first in line " + std::to_string(earlier->line)});
      } else {
        node.entries.push_back(std::move(entry));
      }
    }
    for (const Node& base : merged) merge(node, base);
    return node;
  }

 private:
  static std::string tag(const std::string& name) { return "tag:yaml.org,2002:" + name; }
  inline static const std::string kStringTag = tag("str");

  [[noreturn]] void refuse(int line, const std::string& message) { throw Error(ErrorKind::config, source_name_, {{"", line, message}}); }

  static std::vector<NodeEntry>::iterator find_entry(Node& map, const std::string& key) {
    return std::find_if(map.entries.begin(), map.entries.end(), [&](const NodeEntry& entry) { return entry.key == key; });
  }

  void check_tag(const YAML::Node& yaml, const std::string& path, int line) {
    static const std::set<std::string> kKnown{"",           "?",         "!",         kStringTag, tag("int"),
                                              tag("float"), tag("bool"), tag("null"), tag("map"), tag("seq")};
    if (kKnown.contains(yaml.Tag())) return;
    problems_.push_back({path, line, "unknown tag " + yaml.Tag() + "; write the value without a tag"});
  }

  // Keys of the map itself win over merged ones, earlier merged maps over later ones, as the merge-key type of YAML says.
  void merge(Node& node, const Node& base) {
    if (base.is_list()) {
      for (const Node& item : base.items) merge(node, item);
      return;
    }
    if (!base.is_map()) {
      problems_.push_back({"<<", base.line, "must be an alias of a map, not " + describe(base)});
      return;
    }
    for (const NodeEntry& entry : base.entries) {
      if (find_entry(node, entry.key) == node.entries.end()) node.entries.push_back(entry);
    }
  }

  std::string source_name_;
  std::vector<Problem>& problems_;
  std::size_t nodes_ = 0;
};

}  // namespace

Node parse_yaml(const std::string& text, const std::string& source_name, std::vector<Problem>& problems) {
  if (text.size() > kMaxYamlBytes) {
    throw Error(ErrorKind::config, source_name, {{"", 0, "is larger than " + std::to_string(kMaxYamlBytes >> 20) + " MiB"}});
  }
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      throw Error(ErrorKind::config, source_name,
                  {{"", line_of(documents[1].Mark()), "holds more than one YAML document; remove the '---'"}});
    }
    return documents.empty() ? Node{} : Converter(source_name, problems).convert(documents.front(), "", 1);
  } catch (const YAML::Exception& error) {
    throw Error(ErrorKind::config, source_name,
                {{"", line_of(error.mark), "is not valid YAML: " + error.msg + "; check indentation and quotes here"}});
  }
}

}  // namespace moelab::core
