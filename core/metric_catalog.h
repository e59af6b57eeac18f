// Owns what is known of every scalar the worker emits: unit, which way is better, title, group, meaning. One line a metric in
// metric_catalog.cpp; the server serves it and the dashboard charts by it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moelab::core {

enum class Direction { down, up, none };  // which way is better

struct MetricInfo {
  std::string_view name;  // {l} stands for a layer number, {e} for an expert number, {d} for a domain
  std::string_view unit;  // "" for a pure number
  Direction direction = Direction::none;
  std::string_view title;  // may hold {l}, {e} and {d}
  std::string_view group;  // charts of one group stand together
  std::string_view doc;
};

const std::vector<MetricInfo>& metric_catalog();

// The entry of a concrete name such as router/layer_3_maxvio or train/moe/load/e007; nullptr when the name is not catalogued.
const MetricInfo* find_metric(std::string_view name);

// Of one layer or one expert: a model has hundreds of those, with charts of their own. False for a name that is not catalogued.
bool is_per_part(std::string_view name);

// The title with its numbers filled in ("MaxVio, layer 3"); an uncatalogued name is its own title.
std::string metric_title(std::string_view name);

std::string to_string(Direction direction);

}  // namespace moelab::core
