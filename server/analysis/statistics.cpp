#include "server/analysis/statistics.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "server/analysis/student_t.h"

namespace moelab::server {
namespace {

using Values = std::vector<double>;
using Members = std::vector<const Observation*>;

double mean_of(const Values& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// About the mean in a second pass: the textbook's difference of sums would lose a loss's small spread.
double squares_about(const Values& values, double mean) {
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum;
}

int count_of(const Values& values) {
  return static_cast<int>(values.size());
}

std::optional<double> sample_sd(const Values& values, double mean) {
  if (values.size() < 2) return std::nullopt;
  return std::sqrt(squares_about(values, mean) / (count_of(values) - 1));
}

Interval interval_about(double mean, double sd, int n) {
  const double half = student_t_quantile((1 + kConfidence) / 2, n - 1) * sd / std::sqrt(n);
  return {mean - half, mean + half};
}

bool counts(const Reading& reading) {
  return !reading.archived && reading.state == core::RunState::completed && reading.value && std::isfinite(*reading.value);
}

void exclude(const Reading& reading, Exclusions& excluded) {
  const bool completed = reading.state == core::RunState::completed;
  if (reading.archived) {
    ++excluded.archived;
  } else if ((completed && reading.value) || (reading.gave_up && reading.state == core::RunState::failed)) {
    ++excluded.diverged;
  } else if (completed) {
    ++excluded.without_metric;
  } else {
    ++excluded.not_completed[reading.state];
  }
}

bool is_baseline(const Observation& one) {
  return one.against && one.against->run == one.own.run;
}

PairedDelta paired_delta(const Values& deltas) {
  PairedDelta delta;
  delta.n = count_of(deltas);
  delta.mean = mean_of(deltas);
  delta.sd = sample_sd(deltas, delta.mean);
  if (!delta.sd) return delta;
  delta.ci = interval_about(delta.mean, *delta.sd, delta.n);
  if (delta.mean == 0) {
    delta.p = 1;  // also where all deltas are 0 and t would be 0 / 0
  } else {
    delta.p = student_t_two_sided_p(delta.mean / (*delta.sd / std::sqrt(delta.n)), delta.n - 1);
  }
  return delta;
}

Verdict judge_delta(const PairedDelta& delta) {
  if (!delta.ci) return Verdict::no_spread;
  return delta.ci->low <= 0 && delta.ci->high >= 0 ? Verdict::indistinguishable : Verdict::distinguishable;
}

// Sums in floating point depend on their order: by seed, whatever the caller's order was.
void sort_by_seed(Members& members) {
  std::sort(members.begin(), members.end(), [](const Observation* a, const Observation* b) {
    return std::pair(a->own.seed, a->own.run) < std::pair(b->own.seed, b->own.run);
  });
}

FamilyStatistics describe(const std::string& name, const Members& members) {
  FamilyStatistics family;
  family.family = name;
  family.members = static_cast<int>(members.size());
  Values values, deltas;
  for (const Observation* one : members) {
    if (family.baseline.empty()) family.baseline = one->baseline;
    if (!counts(one->own)) {
      exclude(one->own, family.excluded);
      continue;
    }
    values.push_back(*one->own.value);
    if (one->against && counts(*one->against) && one->against->seed == one->own.seed)
      deltas.push_back(*one->own.value - *one->against->value);
  }
  family.n = count_of(values);
  if (family.n > 0) {
    family.mean = mean_of(values);
    family.sd = sample_sd(values, *family.mean);
    if (family.sd) family.ci = interval_about(*family.mean, *family.sd, family.n);
  }
  if (std::any_of(members.begin(), members.end(), [](const Observation* one) { return is_baseline(*one); })) {
    family.verdict = Verdict::baseline;
  } else if (family.baseline.empty()) {
    family.verdict = Verdict::no_baseline;
  } else if (deltas.empty()) {
    family.verdict = Verdict::no_pairs;
  } else {
    family.delta = paired_delta(deltas);
    family.verdict = judge_delta(*family.delta);
  }
  return family;
}

class Pool {
 public:
  void add(const Values& group) {
    Values finite;
    std::copy_if(group.begin(), group.end(), std::back_inserter(finite), [](double value) { return std::isfinite(value); });
    spread_.diverged += count_of(group) - count_of(finite);
    if (finite.size() < 2) return;
    squares_ += squares_about(finite, mean_of(finite));
    spread_.degrees += count_of(finite) - 1;
    ++spread_.groups;
  }
  PooledSpread spread() const {
    PooledSpread result = spread_;
    if (result.degrees > 0) result.sd = std::sqrt(squares_ / result.degrees);
    return result;
  }

 private:
  PooledSpread spread_;
  double squares_ = 0;
};

// One configuration may be listed under two names; its runs are then the same, and their spread is known once only.
class SeedNoise {
 public:
  void add(const Members& members) {
    std::vector<std::int64_t> runs;
    Values values;
    for (const Observation* one : members) {
      if (!counts(one->own)) continue;
      runs.push_back(one->own.run);
      values.push_back(*one->own.value);
    }
    if (seen_.insert(runs).second) pool_.add(values);
  }
  PooledSpread spread() const { return pool_.spread(); }

 private:
  std::set<std::vector<std::int64_t>> seen_;
  Pool pool_;
};

std::string text_at(const char* what, int n) {
  return what + std::string(" at n = ") + std::to_string(n);
}

}  // namespace

int Exclusions::total() const {
  int sum = diverged + without_metric + archived;
  for (const auto& [state, count] : not_completed) sum += count;
  return sum;
}

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::baseline:
      return "baseline";
    case Verdict::no_baseline:
      return "no_baseline";
    case Verdict::no_pairs:
      return "no_pairs";
    case Verdict::no_spread:
      return "no_spread";
    case Verdict::indistinguishable:
      return "indistinguishable";
    case Verdict::distinguishable:
      return "distinguishable";
  }
  return "";
}

std::string verdict_text(const FamilyStatistics& family) {
  switch (family.verdict) {
    case Verdict::baseline:
      return "baseline";
    case Verdict::no_baseline:
      return "no baseline";
    case Verdict::no_pairs:
      return "no seed counts here and in the baseline";
    case Verdict::no_spread:
      return "n = 1: no spread is known";
    case Verdict::indistinguishable:
      return text_at("not distinguishable", family.delta->n);
    case Verdict::distinguishable:
      return text_at("distinguishable", family.delta->n);
  }
  return "";
}

Statistics compare_families(const std::vector<Observation>& observations, const std::vector<Repeats>& repeats) {
  Statistics result;
  std::vector<std::pair<std::string, Members>> families;
  std::map<std::string, std::size_t> places;
  std::set<std::int64_t> excluded;
  for (const Observation& one : observations) {
    const auto [place, is_new] = places.try_emplace(one.family, families.size());
    if (is_new) families.emplace_back(one.family, Members{});
    families[place->second].second.push_back(&one);
    if (!counts(one.own) && excluded.insert(one.own.run).second) exclude(one.own, result.excluded);
  }
  SeedNoise seeds;
  for (auto& [name, members] : families) {
    sort_by_seed(members);
    result.families.push_back(describe(name, members));
    seeds.add(members);
  }
  result.seed_noise = seeds.spread();
  Pool pool;
  for (const Repeats& run : repeats) pool.add(run.values);
  result.repeat_noise = pool.spread();
  return result;
}

}  // namespace moelab::server
