// Owns what one knob alone cannot tell: rules between knobs, and the normal form of a configuration.
// Called by plan.cpp for every run, and by the worker before it trains.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "core/error.h"

namespace moelab::core {

// Knobs that do not fit together; the first is the key a message names.
struct Conflict {
  std::vector<std::string> paths;
  std::string message;
};

// Gives equal models equal configurations: num_experts 0 becomes 1, and a dense model has every other MoE knob at its off value.
// Returns warnings about what a reader may not expect.
std::vector<Problem> normalize_config(RunConfig& config);

// Every conflict in one pass. `config` is normalised and each knob within its own range.
std::vector<Conflict> check_config(const RunConfig& config);

// Throws Error(config) with every conflict; `source` names the file.
void require_valid(const RunConfig& config, const std::string& source);

}  // namespace moelab::core
