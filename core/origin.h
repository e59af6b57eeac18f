// Owns how a configuration names another run as the source of its weights: train.init_from "run:NAME" in a matrix file, "run:<key>" once
// planned. Called by the planner, which finds the run (dependency.h), and by the daemon, which lets a run wait for its origin.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/config.h"

namespace moelab::core {

inline constexpr std::string_view kRunPrefix = "run:";

// What follows "run:" in train.init_from; nullopt when that names files, or nothing.
std::optional<std::string> origin_of(const RunConfig& config);

}  // namespace moelab::core
