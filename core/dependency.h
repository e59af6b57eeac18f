// Owns which runs must have completed before a run may start: the one whose weights it starts from (train.init_from "run:NAME"), and
// those its file names under `depends_on`. Called by plan.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "core/draft_run.h"
#include "core/error.h"

namespace moelab::core {

inline constexpr std::int64_t kMaxLinks = 100'000;  // of one file: pairs of a run and one it waits for

struct Dependencies {
  std::vector<int> origins;               // per run the one whose weights it starts from, or -1
  std::vector<std::vector<int>> earlier;  // per run every run it waits for, the origin included; ascending, each once
};

// Indices are those of `runs`. A name is that of a run (with or without its seed) or EXPERIMENT/RUN, looked for in the own experiment
// first and then anywhere in the file; where several seeds have it, the run of the same seed is meant. Under `depends_on` the name of an
// experiment stands for all its runs. Names without a run, names of several runs, circles and more than kMaxLinks links go to `problems`.
Dependencies find_dependencies(const std::vector<DraftRun>& runs, std::vector<Problem>& problems);

// "one/a -> one/b -> one/a", shortened when long. `circle` is one of find_circles (circle.h).
std::string circle_text(const std::vector<DraftRun>& runs, const std::vector<int>& circle);

}  // namespace moelab::core
