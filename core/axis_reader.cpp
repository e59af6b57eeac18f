#include "core/axis_reader.h"

#include <cmath>
#include <optional>
#include <utility>

#include "core/field_io.h"
#include "core/map_reader.h"
#include "core/number_text.h"

namespace moelab::core {
namespace {

std::optional<double> number_of(const Node& node) {
  return node.is_scalar() ? parse_number(node.text) : std::nullopt;
}

}  // namespace

bool AxisReader::is_map(const Node& node, const ExperimentDef& experiment, const char* key) const {
  if (node.is_map() && !node.entries.empty()) return true;
  const std::string what =
      node.is_map() ? "names no knob to vary; give it one, or leave it out" : "must be a map of knobs, not " + describe(node);
  problems_.push_back({experiment.name + '.' + key, node.line, what});
  return false;
}

Dimension AxisReader::choices(const Assignment& axis, const std::vector<Node>& values) const {
  Dimension dimension;
  for (const Node& value : values) {
    const Node* literal = value.entries.size() == 1 ? value.find("value") : nullptr;
    Assignment assignment{axis.path, literal ? *literal : value, value.line > 0 ? value.line : axis.line, axis.file, literal != nullptr};
    if (!layers_.check(assignment)) continue;
    Choice choice;
    choice.line = assignment.line;
    choice.settings.push_back(std::move(assignment));
    dimension.push_back(std::move(choice));
  }
  return dimension;
}

void AxisReader::read_matrix(const Node* node, ExperimentDef& experiment) const {
  if (!node || !is_map(*node, experiment, "matrix")) return;
  for (Assignment& axis : layers_.read_unchecked(*node, "")) {
    if (!axis.literal && axis.value.is_list()) {
      if (axis.value.items.empty()) problems_.push_back({axis.path, axis.line, "an axis needs at least one value"});
      experiment.dimensions.push_back(choices(axis, axis.value.items));
    } else if (layers_.check(axis)) {
      experiment.settings.push_back(std::move(axis));
    }
  }
}

void AxisReader::read_zip(const Node* node, ExperimentDef& experiment) const {
  if (!node || !is_map(*node, experiment, "zip")) return;
  const Layer axes = layers_.read_unchecked(*node, "");
  Dimension rows;
  for (const Assignment& axis : axes) {
    if (!axis.value.is_list() || axis.value.items.empty()) {
      problems_.push_back({axis.path, axis.line, "must be a list of values, as long as the others under `zip`"});
      return;
    }
    const std::size_t length = axes.front().value.items.size();
    if (axis.value.items.size() != length) {
      problems_.push_back({axis.path, axis.line,
                           "has " + std::to_string(axis.value.items.size()) + " values where " + axes.front().path + " has " +
                               std::to_string(length) + "; lists under `zip` advance together"});
      return;
    }
    Dimension column = choices(axis, axis.value.items);
    if (column.size() != length) return;
    if (rows.empty()) {
      rows = std::move(column);
    } else {
      for (std::size_t i = 0; i < length; ++i) rows[i].settings.push_back(std::move(column[i].settings.front()));
    }
  }
  if (!rows.empty()) experiment.dimensions.push_back(std::move(rows));
}

void AxisReader::read_sweep(const Node* node, ExperimentDef& experiment) const {
  if (!node || !is_map(*node, experiment, "sweep")) return;
  for (const Assignment& axis : layers_.read_unchecked(*node, "")) {
    const std::vector<Node> values = sweep_values(axis);
    if (!values.empty()) experiment.dimensions.push_back(choices(axis, values));
  }
}

std::vector<Node> AxisReader::sweep_values(const Assignment& axis) const {
  const std::size_t problems_before = problems_.size();
  MapReader reader(axis.value, axis.path + '.', problems_);
  if (!axis.value.is_map()) return {};
  const Node* log = reader.find("log");
  const Node* linear = reader.find("linear");
  const int count = reader.integer("count", 2, 1000).value_or(0);
  reader.report_unknown();
  if (problems_.size() > problems_before) return {};
  const Node* ends = log ? log : linear;
  const bool shaped = ends && !(log && linear) && ends->is_list() && ends->items.size() == 2 && count > 0;
  const std::optional<double> first = shaped ? number_of(ends->items[0]) : std::nullopt;
  const std::optional<double> last = shaped ? number_of(ends->items[1]) : std::nullopt;
  if (!first || !last) {
    problems_.push_back({axis.path, axis.line,
                         "a sweep is {log: [first, last], count: n} or {linear: [first, last], count: n}, two numbers and n of 2 or more"});
    return {};
  }
  if (log && (*first <= 0 || *last <= 0)) {
    problems_.push_back({axis.path, axis.line, "a log sweep needs ends greater than 0"});
    return {};
  }
  std::vector<Node> values;
  for (int i = 0; i < count; ++i) {
    const double t = static_cast<double>(i) / (count - 1);
    const double value = log ? *first * std::pow(*last / *first, t) : *first + (*last - *first) * t;
    const bool is_end = i == 0 || i == count - 1;
    Node node = is_end ? ends->items[i == 0 ? 0 : 1] : Node::scalar(rounded_text(value, is_integer_field(axis.path)), axis.line);
    values.push_back(std::move(node));
  }
  return values;
}

void AxisReader::read_seeds(const Node* node, ExperimentDef& experiment) const {
  if (!node) return;
  const Assignment axis{"seed", *node, node->line, "", false};
  const std::vector<Node> values = node->is_list() ? node->items : std::vector<Node>{*node};
  if (values.empty()) problems_.push_back({experiment.name + ".seeds", node->line, "needs at least one seed"});
  experiment.seeds = choices(axis, values);
}

}  // namespace moelab::core
