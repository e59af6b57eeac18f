// Owns the rule by which an experiment ends its weaker runs early: reading and checking it, and its JSON in the database. It is no part of
// a run's key: it decides how long a run may go on, not what it computes. Called by experiment_reader.cpp; server/analysis/pruning.h applies it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/metric_catalog.h"
#include "core/node.h"

namespace moelab::core {

struct PruneRule {
  enum class Kind {
    asha,    // asynchronous successive halving, in the form that stops runs
    median,  // median stopping
  };
  Kind kind = Kind::asha;
  std::string metric;                       // a catalogued one with a better direction
  Direction direction = Direction::down;    // which way of `metric` is better: down or up
  std::int64_t min_steps = 0;               // asha: the first rung; median: no run is judged before. At least 1
  std::int64_t reduction = 3;               // asha: a rung lets one in so many go on, and the next is so many times further. [2, 100]
  std::optional<std::int64_t> max_rungs;    // asha: how many rungs there are; nothing = as many as the runs reach. At least 1
  std::int64_t min_runs = 4;                // median: other runs there must be to compare with. At least 1
  bool operator==(const PruneRule&) const = default;
};

// `node` is the value of `prune` of the experiment `experiment`. Problems go to `problems`; nothing is returned then.
std::optional<PruneRule> read_prune_rule(const Node& node, const std::string& experiment, std::vector<Problem>& problems);

nlohmann::json to_json(const PruneRule& rule);
// Of what to_json() wrote. Throws Error(internal) for anything else.
PruneRule prune_rule_from_json(const nlohmann::json& json);

}  // namespace moelab::core
