// Owns the statistics of an experiment: how far its families (runs that differ in the seed only) lie from their baselines,
// and how much of that is noise. Called by experiment_statistics.cpp. Pure: no database, no clock, any thread.
//
// A delta is taken between two runs of equal seed, since the seed decides weights and data order of both: what it adds to both
// cancels (paired t-test). With n deltas of mean d and sample standard deviation s, n - 1 degrees of freedom:
//   t = d / (s / sqrt n),  p = P(|T| >= |t|),  confidence interval  d -+ t_{0.975} s / sqrt n
//     Student, "The probable error of a mean", Biometrika 6 (1908); NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.1.1
//     (paired observations) and 1.3.5.2 (confidence limits of a mean)
//   pooled standard deviation over groups i of n_i values:  sqrt(sum (n_i - 1) s_i^2 / sum (n_i - 1))
//     IUPAC Compendium of Chemical Terminology, "pooled standard deviation" (P04758)
// Both take the values of a family to be normal. p is not corrected for the number of families: of 20 that do nothing, one is
// expected to look distinguishable. A pair of which one run diverged is left out, so deltas are those of seeds that survive both.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/run_state.h"

namespace moelab::server {

inline constexpr double kConfidence = 0.95;

// What one run has to say about the metric. Only completed runs with a finite value count, and of these no archived one.
struct Reading {
  std::int64_t run = 0;
  std::int64_t seed = 0;
  core::RunState state = core::RunState::queued;
  bool gave_up = false;         // its newest attempt ended because the loss was not finite
  std::optional<double> value;  // the latest; nothing when it has not reported the metric
  bool archived = false;        // and nobody has asked for archived runs
};

// One member of an experiment beside the run it is compared with.
struct Observation {
  std::string family;  // its name without the seed
  Reading own;
  std::string baseline;            // family of its baseline; empty = none
  std::optional<Reading> against;  // the baseline's run, its own run for the baseline itself; nothing while there is no such run
};

// One run that was trained several times with the same configuration and seed: the final value of each completed attempt.
struct Repeats {
  std::int64_t run = 0;
  std::vector<double> values;
};

struct Interval {
  double low = 0, high = 0;
};

// Runs that do not count, by why.
struct Exclusions {
  std::map<core::RunState, int> not_completed;
  int diverged = 0;        // NaN or infinite, or given up for it
  int without_metric = 0;  // completed, and never reported the metric
  int archived = 0;        // whatever else would be said of them
  int total() const;
};

struct PairedDelta {
  int n = 0;  // pairs, >= 1
  double mean = 0;
  std::optional<double> sd;  // these and the next two need n >= 2
  std::optional<Interval> ci;
  std::optional<double> p;
};

enum class Verdict {
  baseline,           // compared with itself
  no_baseline,        // the experiment names none for it
  no_pairs,           // no seed has both runs completed
  no_spread,          // one pair
  indistinguishable,  // the confidence interval of the delta holds 0
  distinguishable,
};
std::string to_string(Verdict verdict);

struct FamilyStatistics {
  std::string family;
  std::string baseline;  // family it is compared with; empty = none
  int members = 0;       // runs listed: n + excluded.total()
  int n = 0;             // runs that count
  std::optional<double> mean;
  std::optional<double> sd;          // sample standard deviation; with `ci` from n = 2 on
  std::optional<Interval> ci;        // of the mean
  std::optional<PairedDelta> delta;  // nothing without a pair, and for the baseline itself
  Verdict verdict = Verdict::no_baseline;
  Exclusions excluded;
};

// "not distinguishable at n = 3": the verdict as people read it.
std::string verdict_text(const FamilyStatistics& family);

// A pooled standard deviation.
struct PooledSpread {
  std::optional<double> sd;  // nothing when no group has two values
  int degrees = 0;           // of freedom
  int groups = 0;            // with at least two values
  int diverged = 0;          // values left out because they are not finite
};

struct Statistics {
  std::vector<FamilyStatistics> families;  // in the order in which they first appear
  PooledSpread seed_noise;                 // groups: families; a group listed under two names counts once
  PooledSpread repeat_noise;               // groups: runs with at least two completed attempts
  Exclusions excluded;                     // over all families, each run once
};

// The order of observations within a family does not matter, to the last bit.
Statistics compare_families(const std::vector<Observation>& observations, const std::vector<Repeats>& repeats);

}  // namespace moelab::server
