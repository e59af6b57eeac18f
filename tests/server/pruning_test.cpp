#include "server/analysis/pruning.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

using namespace moelab;
using namespace moelab::server;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

core::PruneRule asha(std::int64_t min_steps, std::int64_t reduction) {
  core::PruneRule rule;
  rule.metric = "train/loss";
  rule.min_steps = min_steps;
  rule.reduction = reduction;
  return rule;
}

core::PruneRule median(std::int64_t min_steps, std::int64_t min_runs) {
  core::PruneRule rule;
  rule.kind = core::PruneRule::Kind::median;
  rule.metric = "eval/loss";
  rule.min_steps = min_steps;
  rule.min_runs = min_runs;
  return rule;
}

// A run with a value every step from 1 on.
RunProgress live(std::int64_t id, std::vector<double> values) {
  RunProgress run{id, true, 0, {}, 0};
  for (std::size_t i = 0; i < values.size(); ++i) run.points.emplace_back(static_cast<std::int64_t>(i) + 1, values[i]);
  return run;
}

RunProgress ended(std::int64_t id, std::vector<double> values) {
  RunProgress run = live(id, std::move(values));
  run.may_end = false;
  return run;
}

std::set<std::int64_t> runs_of(const PruneDecision& decision) {
  std::set<std::int64_t> ids;
  for (const PruneVerdict& verdict : decision.ended) ids.insert(verdict.run);
  return ids;
}

// Runs that are asked about again and again, as their values come in.
class Study {
 public:
  explicit Study(core::PruneRule rule) : rule_(std::move(rule)) {}

  void add(std::int64_t id, std::int64_t step, double value) { runs_[id].points.emplace_back(step, value); }

  std::vector<PruneVerdict> look() {
    std::vector<RunProgress> asked;
    for (auto& [id, run] : runs_) {
      run.id = id;
      run.may_end = !gone_.contains(id);
      asked.push_back(run);
    }
    const PruneDecision decision = decide_pruning(rule_, asked);
    for (const auto& [id, rungs] : decision.rungs_passed) runs_[id].rungs_passed = rungs;
    for (const PruneVerdict& verdict : decision.ended) gone_.insert(verdict.run);
    return decision.ended;
  }

  const std::set<std::int64_t>& gone() const { return gone_; }

 private:
  core::PruneRule rule_;
  std::map<std::int64_t, RunProgress> runs_;
  std::set<std::int64_t> gone_;
};

}  // namespace

TEST_CASE("asha, worked by hand: nine runs come to the first rung one after the other, a third of them goes on") {
  Study study(asha(100, 3));
  // Losses at step 100 in the order of arrival; a run goes on when it is among the best max(1, n / 3) of the n there.
  const std::vector<std::pair<double, bool>> arrivals{{5.0, true}, {5.5, false}, {4.5, true},  {4.8, false}, {4.9, false},
                                                      {4.6, true}, {4.4, true},  {4.55, false}, {5.21, false}};
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    const auto id = static_cast<std::int64_t>(i) + 1;
    study.add(id, 99, 1.0);  // before the rung: counts for nothing
    CHECK(study.look().empty());
    study.add(id, 100, arrivals[i].first);
    const std::vector<PruneVerdict> verdicts = study.look();
    INFO("run " << id);
    CHECK(verdicts.empty() == arrivals[i].second);
    CHECK(study.look().empty());  // judged once: who was let through stays through
    if (id == 9) CHECK(verdicts[0].reason == "asha: at step 100 its train/loss 5.21 is 8th of 9; the best 3 go on (cut 4.55)");
    if (id == 2) CHECK(verdicts[0].reason == "asha: at step 100 its train/loss 5.5 is 2nd of 2; the best one goes on (cut 5)");
  }
  // The second rung is at 300 steps, and there the competition is among those who came.
  study.add(7, 300, 4.0);
  CHECK(study.look().empty());
  study.add(3, 301, 4.1);
  CHECK(study.look()[0].reason == "asha: at step 301 its train/loss 4.1 is 2nd of 2; the best one goes on (cut 4)");
  study.add(6, 310, 3.9);
  CHECK(study.look().empty());
  CHECK(study.gone() == std::set<std::int64_t>{2, 3, 4, 5, 8, 9});
}

TEST_CASE("asha: runs that come at the same moment are compared with each other") {
  std::vector<RunProgress> runs;
  for (int i = 1; i <= 9; ++i) runs.push_back(live(i, {10.0 - i}));
  const PruneDecision decision = decide_pruning(asha(1, 3), runs);
  CHECK(runs_of(decision) == std::set<std::int64_t>{1, 2, 3, 4, 5, 6});
  CHECK(decision.rungs_passed == std::map<std::int64_t, std::int64_t>{{7, 1}, {8, 1}, {9, 1}});
}

TEST_CASE("asha: runs that have ended count and are never chosen, whatever ended them") {
  const std::vector<RunProgress> runs{ended(1, {1}), ended(2, {2}), ended(3, {9}), live(4, {3})};
  const PruneDecision decision = decide_pruning(asha(1, 2), runs);
  CHECK(runs_of(decision) == std::set<std::int64_t>{4});
  CHECK(decision.ended[0].reason == "asha: at step 1 its train/loss 3 is 3rd of 4; the best 2 go on (cut 2)");
}

TEST_CASE("asha: NaN is the worst value, and of nothing but NaN nobody ends") {
  CHECK(runs_of(decide_pruning(asha(1, 2), {live(1, {kNaN}), live(2, {kInf})})) == std::set<std::int64_t>{1});
  CHECK(decide_pruning(asha(1, 2), {live(1, {kNaN}), live(2, {1})}).ended[0].reason ==
        "asha: at step 1 its train/loss nan is 2nd of 2; the best one goes on (cut 1)");
  CHECK(decide_pruning(asha(1, 2), {live(1, {kNaN}), live(2, {kNaN})}).ended.empty());
}

TEST_CASE("asha: a metric that is better high, equal values, a limited number of rungs, a last step") {
  core::PruneRule up = asha(1, 2);
  up.direction = core::Direction::up;
  CHECK(runs_of(decide_pruning(up, {live(1, {1}), live(2, {2})})) == std::set<std::int64_t>{1});
  CHECK(decide_pruning(asha(1, 2), {live(1, {2}), live(2, {2})}).ended.empty());

  core::PruneRule one_rung = asha(1, 2);
  one_rung.max_rungs = 1;
  const std::vector<RunProgress> passed{{1, true, 0, {{1, 1.0}, {2, 9.0}}, 1}, {2, true, 0, {{1, 2.0}, {2, 1.0}}, 1}};
  CHECK(decide_pruning(one_rung, passed).ended.empty());
  CHECK(runs_of(decide_pruning(asha(1, 2), passed)) == std::set<std::int64_t>{1});

  RunProgress done = live(1, {9});
  done.max_steps = 1;
  CHECK(decide_pruning(asha(1, 2), {done, live(2, {1})}).ended.empty());
}

TEST_CASE("asha: a run that a restart has rewound behind a rung is judged there again") {
  RunProgress rewound = live(1, {3, 3, 3});
  rewound.rungs_passed = 1;  // of a rung at step 4
  const PruneDecision before = decide_pruning(asha(4, 2), {rewound, ended(2, {1, 1, 1, 1})});
  CHECK(before.ended.empty());
  CHECK_FALSE(before.rungs_passed.contains(1));
  rewound = live(1, {3, 3, 3, 3});
  CHECK(runs_of(decide_pruning(asha(4, 2), {rewound, ended(2, {1, 1, 1, 1})})) == std::set<std::int64_t>{1});
}

TEST_CASE("asha on random studies: as many go on as the rule says, the best never ends, and the order of asking does not matter") {
  std::mt19937_64 random(20261125);
  for (int trial = 0; trial < 500; ++trial) {
    const std::int64_t reduction = 2 + static_cast<std::int64_t>(random() % 4);
    std::vector<RunProgress> runs;
    const std::size_t count = 1 + random() % 20;
    for (std::size_t i = 0; i < count; ++i) {
      const bool is_nan = random() % 10 == 0;
      runs.push_back(live(static_cast<std::int64_t>(i) + 1, {is_nan ? kNaN : static_cast<double>(random() % 1000000)}));
    }
    const PruneDecision decision = decide_pruning(asha(1, reduction), runs);
    const auto finite = static_cast<std::size_t>(
        std::count_if(runs.begin(), runs.end(), [](const RunProgress& run) { return !std::isnan(run.points[0].second); }));
    const std::size_t go_on = std::max<std::size_t>(1, count / static_cast<std::size_t>(reduction));
    // Equal values go on together: of numbers hardly ever, of NaN always.
    if (finite >= go_on) CHECK(decision.ended.size() == count - go_on);
    const auto best = std::min_element(runs.begin(), runs.end(), [](const RunProgress& a, const RunProgress& b) {
      return !std::isnan(a.points[0].second) && (std::isnan(b.points[0].second) || a.points[0].second < b.points[0].second);
    });
    CHECK_FALSE(runs_of(decision).contains(best->id));
    std::shuffle(runs.begin(), runs.end(), random);
    const PruneDecision shuffled = decide_pruning(asha(1, reduction), runs);
    CHECK(runs_of(shuffled) == runs_of(decision));
    CHECK(shuffled.rungs_passed == decision.rungs_passed);
  }
}

TEST_CASE("median, worked by hand: the best value so far against the median of the others' means") {
  // Means up to step 3: 3, 4, 5, 6; their median is 4.5.
  const std::vector<RunProgress> others{ended(1, {4, 3, 2, 1}), live(2, {5, 4, 3}), live(3, {5, 5, 5, 5}), ended(4, {7, 6, 5})};
  const auto with = [&](RunProgress run) {
    std::vector<RunProgress> runs = others;
    for (RunProgress& other : runs) other.may_end = false;
    runs.push_back(std::move(run));
    return decide_pruning(median(3, 4), runs);
  };
  const PruneDecision worse = with(live(9, {8, 5.5, 6}));
  REQUIRE(worse.ended.size() == 1);
  CHECK(worse.ended[0].run == 9);
  CHECK(worse.ended[0].reason ==
        "median: at step 3 its best eval/loss 5.5 is worse than 4.5, the median of the means of 4 other runs");
  CHECK(with(live(9, {8, 4.5, 9})).ended.empty());   // its best counts, and equal is not worse
  CHECK(with(live(9, {8, 5.5})).ended.empty());      // before min_steps
  CHECK(with(live(9, {8, 8, 8, 8})).ended.empty());  // at step 4 there are only two others
  CHECK(with(ended(9, {8, 8, 8})).ended.empty());
}

TEST_CASE("median: NaN is worst on both sides, and a metric may be better high") {
  const std::vector<RunProgress> one_nan{ended(1, {1}), ended(2, {2}), ended(3, {kNaN}), live(4, {3}), live(5, {kNaN}), live(6, {1.5})};
  // Others of 4: 1, 1.5, 2, NaN, NaN with median 2; others of 5: 1, 1.5, 2, 3, NaN likewise.
  CHECK(runs_of(decide_pruning(median(1, 3), one_nan)) == std::set<std::int64_t>{4, 5});
  CHECK(decide_pruning(median(1, 2), {ended(1, {kNaN}), ended(2, {kNaN}), live(3, {9})}).ended.empty());
  core::PruneRule up = median(1, 1);
  up.direction = core::Direction::up;
  CHECK(runs_of(decide_pruning(up, {ended(1, {5}), live(2, {4}), live(3, {9})})) == std::set<std::int64_t>{2});
}

TEST_CASE("median: a run that has come to its last step is left to end by itself") {
  RunProgress run = live(2, {9});
  run.max_steps = 1;
  CHECK(decide_pruning(median(1, 1), {ended(1, {1}), run}).ended.empty());
}

TEST_CASE("median: fewer other runs than the rule asks for end nobody") {
  CHECK(decide_pruning(median(1, 2), {ended(1, {1}), live(2, {9})}).ended.empty());
  CHECK(runs_of(decide_pruning(median(1, 1), {ended(1, {1}), live(2, {9})})) == std::set<std::int64_t>{2});
}
