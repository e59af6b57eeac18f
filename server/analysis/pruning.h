// Owns which runs of an experiment its rule ends now, and the sentence why. Pure: the same runs give the same answer, in any order.
// Called by prune_watch.cpp.
//
// asha: the stopping form of asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning",
// MLSys, arXiv:1810.05934; stopping in place of pausing as in Ray Tune and Optuna). Rung k lies at min_steps * reduction^k steps, k from 0.
// A run's value there is its first one at or after that step. When a run arrives it is compared once with all that have arrived so far,
// those that have ended included: the best 1 / reduction of them go on, at least one. A run that was let through stays through.
//
// median: the median stopping rule (Golovin et al. 2017, "Google Vizier"). At its newest step, a run ends if its best value so far is
// worse than the median, over the other runs that have come as far, of the means of their values up to that step. As in Ray Tune, and
// other than in Vizier, a run need not have completed to be compared with.
//
// NaN is worse than every number, and equal values go on together. Runs that have ended are never chosen, but count.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/prune_rule.h"

namespace moelab::server {

struct RunProgress {
  std::int64_t id = 0;
  bool may_end = false;                                // it runs, and nothing speaks for keeping it
  std::int64_t max_steps = 0;                          // 0 = not known; at its last step a run is not worth ending any more
  std::vector<std::pair<std::int64_t, double>> points;  // the rule's metric by ascending step
  std::int64_t rungs_passed = 0;                       // asha: rungs it has been let through before
};

struct PruneVerdict {
  std::int64_t run = 0;
  std::string reason;  // "asha: at step 300 its train/loss 5.21 is 7th of 9; the best 3 go on (cut 4.87)"
};

struct PruneDecision {
  std::vector<PruneVerdict> ended;                    // by ascending id
  std::map<std::int64_t, std::int64_t> rungs_passed;  // asha: of every run that has passed one; to be given back with the next question
};

PruneDecision decide_pruning(const core::PruneRule& rule, std::vector<RunProgress> runs);

}  // namespace moelab::server
