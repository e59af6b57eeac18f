#include "server/analysis/pruning.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

namespace moelab::server {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// NaN is worse than every number and not worse than itself.
bool is_better(double a, double b, core::Direction direction) {
  if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  return direction == core::Direction::up ? a > b : a < b;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string ordinal(std::size_t n) {
  const std::size_t tens = n % 100, ones = n % 10;
  const bool teen = tens >= 11 && tens <= 13;
  return std::to_string(n) + (ones == 1 && !teen ? "st" : ones == 2 && !teen ? "nd" : ones == 3 && !teen ? "rd" : "th");
}

class Halving {
 public:
  Halving(const core::PruneRule& rule, const std::vector<RunProgress>& runs) : rule_(rule), runs_(runs) {}

  PruneDecision decide() {
    PruneDecision decision;
    for (const RunProgress& run : runs_) judge(run, decision);
    return decision;
  }

 private:
  using Point = std::pair<std::int64_t, double>;

  // nullopt beyond the last rung.
  std::optional<std::int64_t> step_of(std::int64_t rung) const {
    if (rule_.max_rungs && rung >= *rule_.max_rungs) return std::nullopt;
    std::int64_t step = rule_.min_steps;
    for (std::int64_t i = 0; i < rung; ++i) {
      if (step > std::numeric_limits<std::int64_t>::max() / rule_.reduction) return std::nullopt;
      step *= rule_.reduction;
    }
    return step;
  }

  static std::optional<Point> arrival(const RunProgress& run, std::int64_t step) {
    const auto before = [](const Point& point, std::int64_t s) { return point.first < s; };
    const auto first = std::lower_bound(run.points.begin(), run.points.end(), step, before);
    return first == run.points.end() ? std::nullopt : std::optional(*first);
  }

  // Through one rung after the other, as far as the run has come. One that was rewound behind a rung by a restart comes to it again, and
  // is judged again.
  void judge(const RunProgress& run, PruneDecision& decision) {
    std::int64_t rung = 0;
    for (;; ++rung) {
      const std::optional<std::int64_t> step = step_of(rung);
      const std::optional<Point> at = step ? arrival(run, *step) : std::nullopt;
      if (!at) break;
      if (rung < run.rungs_passed) continue;
      if (!run.may_end || (run.max_steps > 0 && *step >= run.max_steps)) break;
      const std::string verdict = compare(at->first, at->second, *step);
      if (verdict.empty()) continue;
      decision.ended.push_back({run.id, verdict});
      break;
    }
    if (rung > 0) decision.rungs_passed[run.id] = rung;
  }

  // Why a run with `value` ends at the rung at `step`; empty when it goes on.
  std::string compare(std::int64_t at, double value, std::int64_t step) const {
    std::vector<double> values;
    for (const RunProgress& run : runs_) {
      if (const std::optional<Point> other = arrival(run, step)) values.push_back(other->second);
    }
    std::sort(values.begin(), values.end(), [&](double a, double b) { return is_better(a, b, rule_.direction); });
    const std::size_t go_on = std::max<std::size_t>(1, values.size() / static_cast<std::size_t>(rule_.reduction));
    const double cut = values[go_on - 1];
    if (!is_better(cut, value, rule_.direction)) return "";
    const auto better = std::count_if(values.begin(), values.end(), [&](double v) { return is_better(v, value, rule_.direction); });
    return "asha: at step " + std::to_string(at) + " its " + rule_.metric + ' ' + short_number(value) + " is " +
           ordinal(static_cast<std::size_t>(better) + 1) + " of " + std::to_string(values.size()) + "; the best " +
           (go_on > 1 ? std::to_string(go_on) + " go on" : "one goes on") + " (cut " + short_number(cut) + ")";
  }

  const core::PruneRule& rule_;
  const std::vector<RunProgress>& runs_;
};

class MedianStopping {
 public:
  MedianStopping(const core::PruneRule& rule, const std::vector<RunProgress>& runs) : rule_(rule), runs_(runs) {}

  PruneDecision decide() {
    PruneDecision decision;
    for (const RunProgress& run : runs_) {
      if (!run.may_end || run.points.empty()) continue;
      const std::int64_t step = run.points.back().first;
      if (step < rule_.min_steps || (run.max_steps > 0 && step >= run.max_steps)) continue;
      const std::string verdict = compare(run, step);
      if (!verdict.empty()) decision.ended.push_back({run.id, verdict});
    }
    return decision;
  }

 private:
  double best_of(const RunProgress& run) const {
    double best = kNaN;
    for (const auto& point : run.points) {
      if (is_better(point.second, best, rule_.direction)) best = point.second;
    }
    return best;
  }

  static double mean_until(const RunProgress& run, std::int64_t step) {
    double sum = 0;
    std::int64_t count = 0;
    for (const auto& [at, value] : run.points) {
      if (at > step) break;
      sum += value;
      ++count;
    }
    return count > 0 ? sum / static_cast<double>(count) : kNaN;
  }

  std::string compare(const RunProgress& run, std::int64_t step) const {
    std::vector<double> means;
    for (const RunProgress& other : runs_) {
      if (other.id == run.id || other.points.empty() || other.points.back().first < step) continue;
      means.push_back(mean_until(other, step));
    }
    if (std::ssize(means) < rule_.min_runs) return "";
    std::sort(means.begin(), means.end(), [&](double a, double b) { return is_better(a, b, rule_.direction); });
    const std::size_t middle = means.size() / 2;
    const double median = means.size() % 2 == 1 ? means[middle] : (means[middle - 1] + means[middle]) / 2;
    const double best = best_of(run);
    if (!is_better(median, best, rule_.direction)) return "";
    return "median: at step " + std::to_string(step) + " its best " + rule_.metric + ' ' + short_number(best) + " is worse than " +
           short_number(median) + ", the median of the means of " + std::to_string(means.size()) + " other runs";
  }

  const core::PruneRule& rule_;
  const std::vector<RunProgress>& runs_;
};

}  // namespace

PruneDecision decide_pruning(const core::PruneRule& rule, std::vector<RunProgress> runs) {
  std::sort(runs.begin(), runs.end(), [](const RunProgress& a, const RunProgress& b) { return a.id < b.id; });
  return rule.kind == core::PruneRule::Kind::asha ? Halving(rule, runs).decide() : MedianStopping(rule, runs).decide();
}

}  // namespace moelab::server
