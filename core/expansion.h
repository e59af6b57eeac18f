// Owns multiplying an experiment out: variants x matrix x zip x sweep x seeds, minus exclusions, plus inclusions. Pure.
// Called by plan.cpp.
#pragma once

#include <string>
#include <vector>

#include "core/matrix.h"

namespace moelab::core {

struct ExpandedRun {
  std::string name;     // unique within the experiment
  std::string family;   // the name without its seed: runs of one family differ in the seed only
  std::string variant;  // the named choice in it, or empty
  std::string point;    // the family without the variant: values of the axes
  Layer settings;       // applied after Expansion::base: the choices taken, their profile overlays, the seed
  std::string notes;
  std::vector<std::string> tags;
  std::vector<Reference> depends_on;  // of the experiment and of the choices taken
  int line = 0;
};

struct Expansion {
  Layer base;  // defaults of the file and of the experiment, each overlaid with the profile
  std::vector<ExpandedRun> runs;
};

// `profile` is "" or one of the file's. Duplicate names, an experiment that excludes all its runs and too many runs go to
// `problems`; exclusions that match nothing go to `warnings`.
Expansion expand(const MatrixFile& file, const ExperimentDef& experiment, const std::string& profile, std::vector<Problem>& problems,
                 std::vector<Problem>& warnings);

}  // namespace moelab::core
