#include "core/prune_rule.h"

#include <limits>

#include "core/map_reader.h"
#include "core/nearest_name.h"

namespace moelab::core {
namespace {

constexpr int kMaxSteps = std::numeric_limits<int>::max();

std::vector<std::string> directed_metrics() {
  std::vector<std::string> names;
  for (const MetricInfo& metric : metric_catalog()) {
    if (metric.direction != Direction::none) names.emplace_back(metric.name);
  }
  return names;
}

void read_metric(MapReader& reader, PruneRule& rule) {
  rule.metric = reader.text("metric");
  if (rule.metric.empty()) {
    reader.report("metric", "is missing; name what runs are compared by, such as train/loss or eval/loss");
    return;
  }
  const MetricInfo* known = find_metric(rule.metric);
  if (!known) {
    reader.report("metric", "no metric is called '" + rule.metric + "'" + did_you_mean(rule.metric, directed_metrics()));
  } else if (known->direction == Direction::none) {
    reader.report("metric", rule.metric + " is neither better high nor better low; compare by train/loss or eval/loss");
  } else {
    rule.direction = known->direction;
  }
}

}  // namespace

std::optional<PruneRule> read_prune_rule(const Node& node, const std::string& experiment, std::vector<Problem>& problems) {
  const std::size_t problems_before = problems.size();
  MapReader reader(node, experiment + ".prune.", problems);
  if (!node.is_map()) return std::nullopt;
  PruneRule rule;
  const std::string kind = reader.text("rule");
  if (kind != "asha" && kind != "median") {
    const std::string what = kind.empty() ? "is missing" : "no rule is called '" + kind + "'" + did_you_mean(kind, {"asha", "median"});
    reader.report("rule", what + "; write asha or median");
    return std::nullopt;
  }
  rule.kind = kind == "asha" ? PruneRule::Kind::asha : PruneRule::Kind::median;
  read_metric(reader, rule);
  const bool has_min_steps = reader.find("min_steps") != nullptr;
  rule.min_steps = reader.integer("min_steps", 1, kMaxSteps).value_or(0);
  if (!has_min_steps) reader.report("min_steps", "is missing; say after how many steps a run may be ended, such as 200");
  if (rule.kind == PruneRule::Kind::asha) {
    rule.reduction = reader.integer("reduction", 2, 100).value_or(3);
    if (const auto rungs = reader.integer("max_rungs", 1, 60)) rule.max_rungs = *rungs;
  } else {
    rule.min_runs = reader.integer("min_runs", 1, 10'000).value_or(4);
  }
  reader.report_unknown();
  return problems.size() == problems_before ? std::optional(rule) : std::nullopt;
}

nlohmann::json to_json(const PruneRule& rule) {
  nlohmann::json json = {{"metric", rule.metric}, {"direction", to_string(rule.direction)}, {"min_steps", rule.min_steps}};
  if (rule.kind == PruneRule::Kind::asha) {
    json["rule"] = "asha";
    json["reduction"] = rule.reduction;
    json["max_rungs"] = rule.max_rungs ? nlohmann::json(*rule.max_rungs) : nlohmann::json();
  } else {
    json["rule"] = "median";
    json["min_runs"] = rule.min_runs;
  }
  return json;
}

PruneRule prune_rule_from_json(const nlohmann::json& json) {
  try {
    PruneRule rule;
    rule.kind = json.at("rule") == "asha" ? PruneRule::Kind::asha : PruneRule::Kind::median;
    rule.metric = json.at("metric").get<std::string>();
    rule.direction = json.at("direction") == to_string(Direction::up) ? Direction::up : Direction::down;
    rule.min_steps = json.at("min_steps").get<std::int64_t>();
    if (rule.kind == PruneRule::Kind::asha) {
      rule.reduction = json.at("reduction").get<std::int64_t>();
      if (!json.at("max_rungs").is_null()) rule.max_rungs = json.at("max_rungs").get<std::int64_t>();
    } else {
      rule.min_runs = json.at("min_runs").get<std::int64_t>();
    }
    return rule;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::internal, std::string("not a stored prune rule: ") + e.what());
  }
}

}  // namespace moelab::core
