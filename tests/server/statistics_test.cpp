// The statistics of families against worked examples, and the properties they must have whatever the numbers are.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "server/analysis/statistics.h"
#include "server/analysis/student_t.h"

using namespace moelab;
using namespace moelab::server;
using core::RunState;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Expected values below carry 18 digits or more; what is left is rounding in sums of ten doubles, and Boost's in the quantile.
constexpr double kRounding = 1e-12;

bool near(double a, double b) {
  return std::abs(a - b) <= kRounding * std::max(std::abs(a), std::abs(b));
}

// A matrix in the making: families with a value per seed, compared with the family called "base" if there is one.
class Table {
 public:
  void add(const std::string& family, std::int64_t seed, std::optional<double> value, RunState state = RunState::completed,
           bool gave_up = false) {
    Observation one;
    one.family = family;
    one.own = {next_run_++, seed, state, gave_up, value};
    rows_.push_back(one);
  }
  void add(const std::string& family, const std::vector<double>& values) {
    for (std::size_t seed = 0; seed < values.size(); ++seed) add(family, static_cast<std::int64_t>(seed), values[seed]);
  }
  // Every row with the run of "base" of its seed, as the plan finds it.
  std::vector<Observation> rows() const {
    std::vector<Observation> paired = rows_;
    for (Observation& one : paired) {
      for (const Observation& base : rows_) {
        if (base.family != "base") continue;
        one.baseline = "base";
        if (base.own.seed == one.own.seed) one.against = base.own;
      }
    }
    return paired;
  }
  Statistics compare(const std::vector<Repeats>& repeats = {}) const { return compare_families(rows(), repeats); }

 private:
  std::vector<Observation> rows_;
  std::int64_t next_run_ = 1;
};

const FamilyStatistics& of(const Statistics& all, const std::string& family) {
  const auto found = std::find_if(all.families.begin(), all.families.end(), [&](const auto& one) { return one.family == family; });
  REQUIRE(found != all.families.end());
  return *found;
}

// The hours of sleep that two drugs gave ten patients: Student 1908, table on page 20; `sleep` of R.
const std::vector<double> kDrug1{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
const std::vector<double> kDrug2{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};

Table sleep() {
  Table table;
  table.add("base", kDrug2);
  table.add("drug1", kDrug1);
  return table;
}

}  // namespace

TEST_CASE("quantiles and tails of Student's t") {
  // The regularised incomplete beta function at 40 digits (mpmath); they agree with any printed table.
  CHECK(near(student_t_quantile(0.975, 1), 12.706204736174704646));
  CHECK(near(student_t_quantile(0.975, 2), 4.3026527297494638523));
  CHECK(near(student_t_quantile(0.975, 9), 2.2621571627982055426));
  CHECK(near(student_t_quantile(0.975, 30), 2.04227245630123831));
  // With one degree of freedom it is Cauchy's, with two it has a closed form: P(|T| >= t) = 1 - t / sqrt(2 + t^2).
  CHECK(near(student_t_two_sided_p(1, 1), 0.5));
  CHECK(near(student_t_two_sided_p(-2, 2), 1 - 2 / std::sqrt(6.0)));
  CHECK(student_t_two_sided_p(0, 5) == doctest::Approx(1));
  CHECK(student_t_two_sided_p(-kInfinity, 1) == 0);
}

TEST_CASE("Student's own example: a paired t-test of ten pairs") {
  // R: t.test(extra ~ group, data = sleep, paired = TRUE) prints t = -4.0621, p-value = 0.002833, interval -2.4598858 -0.7001142,
  // mean of the differences -1.58. The digits beyond are the same formulas at 40 digits (mpmath).
  const Statistics all = sleep().compare();
  const FamilyStatistics& drug = of(all, "drug1");
  CHECK(drug.n == 10);
  CHECK(near(*drug.mean, 0.75));
  CHECK(near(*drug.sd, 1.78900965775916245));
  CHECK(near(drug.ci->low, -0.529780413526232563));
  CHECK(near(drug.ci->high, 2.02978041352623256));
  REQUIRE(drug.delta);
  CHECK(drug.delta->n == 10);
  CHECK(near(drug.delta->mean, -1.58));
  CHECK(near(*drug.delta->sd, 1.22999548327987322));
  CHECK(near(drug.delta->ci->low, -2.4598857632769828));
  CHECK(near(drug.delta->ci->high, -0.700114236723017201));
  CHECK(near(*drug.delta->p, 0.00283289019738427274));
  CHECK(drug.verdict == Verdict::distinguishable);
  CHECK(verdict_text(drug) == "distinguishable at n = 10");
  CHECK(near(*all.seed_noise.sd, 1.89862523363031752));
  CHECK(all.seed_noise.degrees == 18);
  CHECK(all.seed_noise.groups == 2);

  const FamilyStatistics& base = of(all, "base");
  CHECK(base.verdict == Verdict::baseline);
  CHECK_FALSE(base.delta);
  CHECK(near(*base.mean, 2.33));
  CHECK(base.baseline == "base");
}

TEST_CASE("pairing finds what two separate means hide") {
  // Both families spread by 0.03 to 0.04 over the seeds, in step: by hand, deltas -0.06, -0.05, -0.07 have sd 0.01.
  Table table;
  table.add("base", {4.31, 4.35, 4.29});
  table.add("better", {4.25, 4.30, 4.22});
  const Statistics all = table.compare();
  const FamilyStatistics& better = of(all, "better");
  CHECK(better.delta->mean == doctest::Approx(-0.06).epsilon(kRounding));
  CHECK(*better.delta->sd == doctest::Approx(0.01).epsilon(1e-10));  // two digits of the losses cancel
  CHECK(*better.delta->p == doctest::Approx(0.00913261138627545495).epsilon(1e-10));
  CHECK(better.verdict == Verdict::distinguishable);
  CHECK(better.ci->high > of(all, "base").ci->low);  // the intervals of the means overlap widely
  CHECK(near(*all.seed_noise.sd, 0.0358236421003411284));
}

TEST_CASE("a delta within the noise is not distinguishable, and says at which n") {
  Table table;
  table.add("base", {4.31, 4.35, 4.29});
  table.add("same", {4.33, 4.32, 4.30});
  const Statistics all = table.compare();
  CHECK(of(all, "same").verdict == Verdict::indistinguishable);
  CHECK(verdict_text(of(all, "same")) == "not distinguishable at n = 3");
  CHECK(*of(all, "same").delta->p > 0.05);
}

TEST_CASE("one pair has a delta and no spread; a family without a pair says so") {
  Table table;
  table.add("base", 0, 4.0);
  table.add("one", 0, 4.5);
  table.add("other_seed", 7, 4.5);
  table.add("nothing_yet", 0, std::nullopt, RunState::queued);
  const Statistics all = table.compare();
  const FamilyStatistics& one = of(all, "one");
  CHECK(one.delta->mean == 0.5);
  CHECK_FALSE(one.delta->sd);
  CHECK_FALSE(one.delta->ci);
  CHECK_FALSE(one.delta->p);
  CHECK_FALSE(one.sd);
  CHECK_FALSE(one.ci);
  CHECK(one.verdict == Verdict::no_spread);
  CHECK(verdict_text(one) == "n = 1: no spread is known");
  CHECK(of(all, "other_seed").verdict == Verdict::no_pairs);
  CHECK(of(all, "other_seed").mean == 4.5);
  CHECK(of(all, "nothing_yet").verdict == Verdict::no_pairs);
  CHECK_FALSE(of(all, "nothing_yet").mean);
  CHECK_FALSE(all.seed_noise.sd);
  CHECK(all.seed_noise.groups == 0);
}

TEST_CASE("an experiment without a baseline still has means and noise") {
  Table table;
  table.add("a", {1, 2, 3});
  const Statistics all = table.compare();
  CHECK(of(all, "a").verdict == Verdict::no_baseline);
  CHECK(verdict_text(of(all, "a")) == "no baseline");
  CHECK_FALSE(of(all, "a").delta);
  CHECK(*all.seed_noise.sd == doctest::Approx(1));
  CHECK(compare_families({}, {}).families.empty());
}

TEST_CASE("seeds without a partner drop out of the delta and stay in the mean") {
  Table table;
  table.add("base", {4.0, 4.1, 4.2});
  table.add("wide", {3.9, 4.0, 4.3});
  const double paired = of(table.compare(), "wide").delta->mean;
  table.add("wide", 3, 100.0);
  table.add("base", 4, -100.0);
  const Statistics all = table.compare();
  CHECK(of(all, "wide").n == 4);
  CHECK(*of(all, "wide").mean > 20);
  CHECK(of(all, "wide").delta->n == 3);
  CHECK(of(all, "wide").delta->mean == paired);
}

TEST_CASE("runs of unequal seed are never paired, whatever the caller says") {
  Observation one;
  one.family = "a";
  one.own = {1, 0, RunState::completed, false, 1.0};
  one.baseline = "base";
  one.against = Reading{2, 1, RunState::completed, false, 5.0};
  CHECK(compare_families({one}, {}).families.front().verdict == Verdict::no_pairs);
}

TEST_CASE("values that are not finite are counted as diverged, and so is their pair") {
  Table table;
  table.add("base", {4.0, 4.2, kInfinity, 4.1});
  table.add("hot", {4.5, kNan, 4.4, 4.7});
  table.add("hot", 4, 9.0, RunState::failed, true);
  table.add("base", 4, 4.0);
  const Statistics all = table.compare();
  const FamilyStatistics& hot = of(all, "hot");
  CHECK(hot.n == 3);
  CHECK(hot.members == 5);
  CHECK(hot.excluded.diverged == 2);
  CHECK(hot.excluded.not_completed.empty());
  CHECK(hot.delta->n == 2);
  CHECK(hot.delta->mean == doctest::Approx(0.55).epsilon(kRounding));
  CHECK(of(all, "base").excluded.diverged == 1);
  CHECK(all.excluded.diverged == 3);
  CHECK(std::isfinite(*all.seed_noise.sd));
}

TEST_CASE("runs that did not complete are left out and counted by state") {
  Table table;
  table.add("base", {4.0, 4.2, 4.1, 4.0, 4.0, 4.0});
  table.add("a", {4.1, 4.3});
  table.add("a", 2, 7.0, RunState::pruned);
  table.add("a", 3, 6.0, RunState::failed);
  table.add("a", 4, 6.5, RunState::running);
  table.add("a", 5, std::nullopt);
  table.add("a", 6, 6.0, RunState::queued, true);  // it diverged once and was put back into the queue
  const FamilyStatistics a = of(table.compare(), "a");
  CHECK(a.n == 2);
  CHECK(a.delta->n == 2);
  CHECK(a.excluded.not_completed ==
        std::map<RunState, int>{{RunState::pruned, 1}, {RunState::failed, 1}, {RunState::running, 1}, {RunState::queued, 1}});
  CHECK(a.excluded.without_metric == 1);
  CHECK(a.excluded.diverged == 0);
  CHECK(a.excluded.total() == 5);
  CHECK(a.n + a.excluded.total() == a.members);
}

TEST_CASE("deltas without any spread: equal runs are not distinguishable, a constant shift is") {
  Table table;
  table.add("base", {1, 2, 4});
  table.add("equal", {1, 2, 4});
  table.add("shifted", {1.5, 2.5, 4.5});
  const Statistics all = table.compare();
  CHECK(of(all, "equal").verdict == Verdict::indistinguishable);
  CHECK(*of(all, "equal").delta->p == 1);
  CHECK(of(all, "shifted").verdict == Verdict::distinguishable);
  CHECK(*of(all, "shifted").delta->p == 0);
  CHECK(of(all, "shifted").delta->ci->low == 0.5);
}

TEST_CASE("a shift of all values moves the means and nothing else") {
  std::mt19937 random(7);
  std::normal_distribution<double> noise(0, 0.01);
  std::vector<double> base, other;
  for (int seed = 0; seed < 8; ++seed) {
    base.push_back(noise(random));
    other.push_back(0.01 + noise(random));
  }
  const auto compared = [&](double shift) {
    Table table;
    for (auto [family, values] : {std::pair("base", base), std::pair("other", other)}) {
      for (double& value : values) value += shift;
      table.add(family, values);
    }
    return table.compare();
  };
  const Statistics near_zero = compared(0), far = compared(1000);
  const FamilyStatistics &a = of(near_zero, "other"), &b = of(far, "other");
  // A value near 1000 is known to 1e-13, which is 1e-11 of the spread.
  CHECK(*b.mean - 1000 == doctest::Approx(*a.mean).epsilon(1e-9));
  CHECK(*b.sd == doctest::Approx(*a.sd).epsilon(1e-9));
  CHECK(b.delta->mean == doctest::Approx(a.delta->mean).epsilon(1e-9));
  CHECK(*b.delta->p == doctest::Approx(*a.delta->p).epsilon(1e-9));
  CHECK(*far.seed_noise.sd == doctest::Approx(*near_zero.seed_noise.sd).epsilon(1e-9));
}

TEST_CASE("the order of rows changes no bit") {
  std::vector<Observation> rows = sleep().rows();
  const Statistics straight = compare_families(rows, {});
  std::mt19937 random(11);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(rows.begin(), rows.end(), random);
    const Statistics shuffled = compare_families(rows, {});
    for (const char* family : {"base", "drug1"}) {
      CHECK(of(shuffled, family).mean == of(straight, family).mean);
      CHECK(of(shuffled, family).sd == of(straight, family).sd);
    }
    CHECK(of(shuffled, "drug1").delta->p == of(straight, "drug1").delta->p);
    CHECK(of(shuffled, "drug1").delta->ci->low == of(straight, "drug1").delta->ci->low);
  }
}

TEST_CASE("95 of 100 intervals hold the true delta") {
  // The share of 4,000 intervals is binomial with standard deviation sqrt(.95 x .05 / 4000) = 0.0034; four of them either way.
  std::mt19937 random(5);
  std::normal_distribution<double> seed_effect(5, 0.5), noise(0, 0.1);
  const double truth = 0.03;
  int held = 0;
  const int rounds = 4000;
  for (int round = 0; round < rounds; ++round) {
    std::vector<double> base, other;
    for (int seed = 0; seed < 3; ++seed) {
      const double common = seed_effect(random);
      base.push_back(common + noise(random));
      other.push_back(common + truth + noise(random));
    }
    Table table;
    table.add("base", base);
    table.add("other", other);
    const Interval ci = *of(table.compare(), "other").delta->ci;
    held += ci.low <= truth && truth <= ci.high ? 1 : 0;
  }
  const double share = static_cast<double>(held) / rounds;
  CHECK(share > 0.95 - 4 * 0.0034);
  CHECK(share < 0.95 + 4 * 0.0034);
}

TEST_CASE("repeat noise pools the attempts of one configuration and seed") {
  // By hand: {1, 3} has squares 2 on 1 degree, {10, 11, 12} has 2 on 2; sqrt(4 / 3). A single attempt says nothing.
  const Table table = sleep();
  const Statistics all = table.compare({{1, {1, 3}}, {2, {10, 11, 12}}, {3, {5}}, {4, {7, kNan}}});
  CHECK(*all.repeat_noise.sd == doctest::Approx(std::sqrt(4.0 / 3)).epsilon(kRounding));
  CHECK(all.repeat_noise.degrees == 3);
  CHECK(all.repeat_noise.groups == 2);
  CHECK(all.repeat_noise.diverged == 1);
  CHECK_FALSE(table.compare().repeat_noise.sd);
  CHECK(*table.compare({{1, {2, 2}}}).repeat_noise.sd == 0);  // what a CPU gives: bit for bit the same
}

TEST_CASE("one configuration under two names counts once in the noise and in what is left out") {
  Table table;
  table.add("base", {1, 2, 4});
  table.add("base", 3, kNan);
  std::vector<Observation> rows = table.rows();
  for (Observation one : table.rows()) {
    one.family = "another_name";
    rows.push_back(one);
  }
  const Statistics all = compare_families(rows, {});
  CHECK(all.families.size() == 2);
  CHECK(all.seed_noise.groups == 1);
  CHECK(all.seed_noise.degrees == 2);
  CHECK(all.excluded.diverged == 1);
  CHECK(of(all, "another_name").excluded.diverged == 1);
  CHECK(of(all, "another_name").verdict == Verdict::baseline);
}
