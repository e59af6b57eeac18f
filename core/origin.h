// Owns runs that start from the weights of another run: train.init_from "run:NAME" in a matrix file, "run:<key>" once planned.
// Called by plan.cpp; the daemon reads the key to let such a run wait for its origin.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/draft_run.h"
#include "core/error.h"

namespace moelab::core {

inline constexpr std::string_view kRunPrefix = "run:";

// What follows "run:" in train.init_from; nullopt when that names files, or nothing.
std::optional<std::string> origin_of(const RunConfig& config);

// For each of `runs` the index of its origin in `runs`, or -1. An origin is named as a run or EXPERIMENT/RUN, looked for in the own
// experiment first and then anywhere in the file, and has the same seed where several seeds have the name. Names without a run, names
// of several runs, and circles go to `problems`.
std::vector<int> find_origins(const std::vector<DraftRun>& runs, std::vector<Problem>& problems);

}  // namespace moelab::core
