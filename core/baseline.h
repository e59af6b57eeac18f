// Owns finding the run that another one is compared with: in its own experiment first, then anywhere in the file, always of the
// same seed. A baseline names a run, a run without its seed, or a variant; a variant is compared at the same point of the axes.
// Called by plan.cpp.
#pragma once

#include <vector>

#include "core/draft_run.h"
#include "core/error.h"

namespace moelab::core {

// For each of `runs` the index of its baseline in `runs`, or -1. Baselines that name no run, or runs of several experiments, go
// to `problems`; a baseline none of whose seeds is used goes to `warnings`.
std::vector<int> find_baselines(const std::vector<DraftRun>& runs, std::vector<Problem>& problems, std::vector<Problem>& warnings);

}  // namespace moelab::core
