// Owns the division of a run's micro-batches after it ran out of memory: by how much they are cut, and what that changes. The server
// writes the divisor into run.json as "micro_batch_divisor"; the worker reads it and multiplies train.grad_accum by it, so the
// optimiser's batch stays what it was. A power of two, 1 where nothing was cut.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"

namespace moelab::core {

// The next one to try after `present` (at least 1) was too much: twice as many micro-batches. nullopt when the batch cannot be cut
// into that many equal ones.
std::optional<std::int64_t> next_micro_batch_divisor(const RunConfig& config, std::int64_t present);

// Of a run.json; 1 when it has none. Throws Error(config), naming `source` and the remedy, when it is no power of two or does not
// cut the batch of `config` into equal micro-batches.
std::int64_t micro_batch_divisor(const nlohmann::json& run, const RunConfig& config, const std::string& source);

// Knobs of `config` that act on one micro-batch at a time, so that a divided run is not quite the undivided one: capacities,
// losses that are no mean over tokens, experts that choose among the tokens, random draws. Empty when only the order of sums differs.
std::vector<std::string> knobs_by_micro_batch(const RunConfig& config);

}  // namespace moelab::core
