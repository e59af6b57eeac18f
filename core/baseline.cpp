#include "core/baseline.h"

#include <map>
#include <set>
#include <string>

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
      const Indices candidates = candidates_for(*experiment);
      bool any = candidates.empty();
      for (const int member : members) {
        baselines[at(member)] = of_same_seed(candidates, member);
        any = any || baselines[at(member)] >= 0;
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

  // Members of `experiment` called `name`, with or without their seed.
  Indices called(const ExperimentDef* experiment, const std::string& name) const {
    Indices found;
    for (const int member : members_.at(experiment)) {
      if (runs_[at(member)].run.name == name || runs_[at(member)].run.family == name) found.push_back(member);
    }
    return found;
  }

  Indices candidates_for(const ExperimentDef& experiment) {
    const std::string& wanted = experiment.baseline;
    const Indices own = called(&experiment, wanted);
    if (!own.empty()) return own;
    Indices found;
    std::string where;
    int places = 0;
    for (const auto& entry : members_) {
      const std::string prefix = entry.first->name + '/';
      const Indices here = called(entry.first, wanted.starts_with(prefix) ? wanted.substr(prefix.size()) : wanted);
      if (here.empty()) continue;
      found = here;
      where += (where.empty() ? "" : ", ") + prefix + (wanted.starts_with(prefix) ? wanted.substr(prefix.size()) : wanted);
      ++places;
    }
    if (places == 0) report(experiment, "no run is called '" + wanted + "'" + did_you_mean(wanted, families()));
    if (places > 1) report(experiment, "several experiments have such a run; write one of " + where);
    return places == 1 ? found : Indices{};
  }

  std::vector<std::string> families() const {
    std::set<std::string> names;
    for (const DraftRun& run : runs_) names.insert(run.run.family);
    return {names.begin(), names.end()};
  }

  int of_same_seed(const Indices& candidates, int member) const {
    for (const int candidate : candidates) {
      if (runs_[at(candidate)].config.seed == runs_[at(member)].config.seed) return candidate;
    }
    return -1;
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
