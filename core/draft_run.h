// Owns a run while it is being planned: resolved and checked, not yet keyed. Shared by the parts of the planner.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "core/expansion.h"

namespace moelab::core {

struct DraftRun {
  const ExperimentDef* experiment = nullptr;
  ExpandedRun run;
  RunConfig config;  // normalised
};

}  // namespace moelab::core
