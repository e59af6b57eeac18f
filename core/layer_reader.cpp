#include "core/layer_reader.h"

#include <utility>

#include "core/field_io.h"
#include "core/origin.h"

namespace moelab::core {
namespace {

void make_absolute(Node& node, const std::filesystem::path& base_dir) {
  if (node.is_scalar() && !node.text.empty() && !node.text.starts_with(kRunPrefix))
    node.text = (base_dir / node.text).lexically_normal().string();
  for (Node& item : node.items) make_absolute(item, base_dir);
  for (NodeEntry& entry : node.entries) make_absolute(entry.value, base_dir);
}

}  // namespace

LayerReader::LayerReader(std::filesystem::path base_dir, std::string file, std::vector<Problem>& problems)
    : base_dir_(std::move(base_dir)), file_(std::move(file)), problems_(problems) {}

Layer LayerReader::read_unchecked(const Node& map, const std::string& where) const {
  Layer layer = read_field_map(map, where, problems_);
  for (Assignment& assignment : layer) assignment.file = file_;
  return layer;
}

Layer LayerReader::read(const Node& map, const std::string& where) const {
  Layer layer;
  for (Assignment& assignment : read_unchecked(map, where)) {
    if (check(assignment)) layer.push_back(std::move(assignment));
  }
  return layer;
}

bool LayerReader::check(Assignment& assignment) const {
  RunConfig scratch;
  std::optional<std::string> problem = read_field(scratch, assignment.path, assignment.value);
  if (problem && assignment.value.is_list() && !holds_several_values(assignment.path)) {
    problem = "takes one value; a list of values to try belongs under `matrix` of an experiment";
  }
  if (problem) problems_.push_back({assignment.path, assignment.line, *problem});
  if (is_source_field(assignment.path)) make_absolute(assignment.value, base_dir_);
  return !problem;
}

}  // namespace moelab::core
