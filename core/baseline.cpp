#include "core/baseline.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/nearest_name.h"

namespace moelab::core {
namespace {

using Indices = std::vector<int>;

class BaselineFinder {
 public:
  BaselineFinder(const std::vector<DraftRun>& runs, std::vector<Problem>& problems, std::vector<Problem>& warnings)
      : runs_(runs), problems_(problems), warnings_(warnings) {
    for (std::size_t i = 0; i < runs.size(); ++i) members_[runs[i].experiment].push_back(static_cast<int>(i));
  }

  Indices find() {
    Indices baselines(runs_.size(), -1);
    for (const auto& [experiment, members] : members_) {
      if (experiment->baseline.empty() || experiment->name.empty()) continue;
      const Target target = find_target(*experiment);
      bool any = target.by_point.empty();
      for (const int member : members) {
        const auto it = target.by_point.find(point_of(member, target.whole_name));
        if (it == target.by_point.end()) continue;
        baselines[at(member)] = it->second;
        any = true;
      }
      if (!any) warn(*experiment, "no run of this experiment has a seed of its baseline, so there are no deltas");
    }
    return baselines;
  }

 private:
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }

  void warn(const ExperimentDef& experiment, const std::string& message) {
    warnings_.push_back({experiment.name + ".baseline", experiment.baseline_line, message});
  }

  void report(const ExperimentDef& experiment, const std::string& message) {
    problems_.push_back({experiment.name + ".baseline", experiment.baseline_line, message});
  }

  using Point = std::pair<std::int64_t, std::string>;  // seed, values of the axes

  // The runs a baseline stands for, by what they are compared at.
  struct Target {
    bool whole_name = false;  // names a run, with or without its seed: compared with every point of the axes
    std::map<Point, int> by_point;
  };

  Point point_of(int index, bool whole_name) const {
    const DraftRun& draft = runs_[at(index)];
    return {draft.config.seed, whole_name ? "" : draft.run.point};
  }

  Target called(const ExperimentDef* experiment, const std::string& name) const {
    Target target;
    Indices found;
    for (const int member : members_.at(experiment)) {
      const ExpandedRun& run = runs_[at(member)].run;
      const bool whole_name = run.name == name || run.family == name;
      target.whole_name = target.whole_name || whole_name;
      if (whole_name || run.variant == name) found.push_back(member);
    }
    for (const int member : found) target.by_point.emplace(point_of(member, target.whole_name), member);
    return target;
  }

  Target find_target(const ExperimentDef& experiment) {
    const std::string& wanted = experiment.baseline;
    Target own = called(&experiment, wanted);
    if (!own.by_point.empty()) return own;
    Target found;
    std::string places;
    int count = 0;
    for (const auto& entry : members_) {
      const std::string prefix = entry.first->name + '/';
      const std::string name = wanted.starts_with(prefix) ? wanted.substr(prefix.size()) : wanted;
      Target here = called(entry.first, name);
      if (here.by_point.empty()) continue;
      found = std::move(here);
      places += (places.empty() ? "" : ", ") + prefix + name;
      ++count;
    }
    if (count == 0) report(experiment, "no run is called '" + wanted + "'" + did_you_mean(wanted, families()));
    if (count > 1) report(experiment, "several experiments have such a run; write one of " + places);
    return count == 1 ? found : Target{};
  }

  std::vector<std::string> families() const {
    std::set<std::string> names;
    for (const DraftRun& run : runs_) names.insert({run.run.family, run.run.variant});
    return {names.begin(), names.end()};
  }

  const std::vector<DraftRun>& runs_;
  std::vector<Problem>& problems_;
  std::vector<Problem>& warnings_;
  std::map<const ExperimentDef*, Indices> members_;  // experiments of one file lie in one vector: file order
};

}  // namespace

std::vector<int> find_baselines(const std::vector<DraftRun>& runs, std::vector<Problem>& problems, std::vector<Problem>& warnings) {
  return BaselineFinder(runs, problems, warnings).find();
}

}  // namespace moelab::core
