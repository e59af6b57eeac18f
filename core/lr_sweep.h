// Owns the learning-rate sweep: each variant trained briefly at each of several rates, before the study itself. As moe-lab does it
// (vuiseng9/moe-lab, sweep_lr): every rate starts from the same seed, a short warm-up, then the rate stays constant; no evaluation and no
// checkpoint but the last. Called by plan.cpp; the names are read again by server/analysis/lr_sweep_store.cpp.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/draft_run.h"
#include "core/error.h"
#include "core/matrix.h"

namespace moelab::core {

inline constexpr std::size_t kMaxRates = 100;

struct LrSweep {
  // {1, 3, 5, 8} x {1e-5, 1e-4, 1e-3}
  std::vector<double> rates{1e-5, 3e-5, 5e-5, 8e-5, 1e-4, 3e-4, 5e-4, 8e-4, 1e-3, 3e-3, 5e-3, 8e-3};
  std::int64_t steps = 150;
  std::int64_t warmup = 30;  // steps, fewer than `steps`
};

// Throws Error(usage) for no rate, more than kMaxRates, a rate or a number of steps that train.lr or train.max_steps does not take, a rate
// listed twice, a warm-up that is negative or not shorter than the steps.
void check_lr_sweep(const LrSweep& sweep);

// Names of a sweep's experiment and of a run in it: "capacity.lr_sweep", "cf1,lr=0.0001".
inline constexpr std::string_view kLrSweepSuffix = ".lr_sweep";
std::string lr_sweep_experiment(const std::string& experiment);
std::string lr_sweep_run(const std::string& family, double rate);

// A run of a sweep, and the one of `runs` it tries a rate for.
struct SweptRun {
  DraftRun draft;
  std::size_t source = 0;
};

// For each family among the `wanted` ones of `runs` its first run at every rate, in the order of `runs`. `experiments` receives what the
// drafts point to. Such a run has neither baseline nor depends_on; one that starts from another's weights still does.
std::vector<SweptRun> sweep_rates(const LrSweep& sweep, const std::vector<DraftRun>& runs, const std::vector<bool>& wanted,
                                  std::deque<ExperimentDef>& experiments);

}  // namespace moelab::core
