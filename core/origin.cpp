#include "core/origin.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/nearest_name.h"

namespace moelab::core {
namespace {

constexpr const char* kField = "train.init_from";

using Indices = std::vector<int>;

class OriginFinder {
 public:
  OriginFinder(const std::vector<DraftRun>& runs, std::vector<Problem>& problems) : runs_(runs), problems_(problems) {}

  Indices find() {
    Indices origins;
    for (const DraftRun& run : runs_) {
      const auto name = origin_of(run.config);
      origins.push_back(name ? find(run, *name) : -1);
    }
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (in_circle(static_cast<int>(i), origins)) report(runs_[i], "starts from itself, directly or through other runs");
    }
    return origins;
  }

 private:
  void report(const DraftRun& run, const std::string& message) {
    problems_.push_back({kField, 0, message + " (run " + run.experiment->name + '/' + run.run.name + ")"});
  }

  int find(const DraftRun& run, const std::string& name) {
    Indices own, others;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      const DraftRun& other = runs_[i];
      const std::string prefix = other.experiment->name + '/';
      const bool same_experiment = other.experiment == run.experiment;
      const auto called = [&](const std::string& text) { return other.run.name == text || other.run.family == text; };
      if (!called(name) && !(name.starts_with(prefix) && called(name.substr(prefix.size())))) continue;
      (same_experiment ? own : others).push_back(static_cast<int>(i));
    }
    Indices found = own.empty() ? others : own;
    if (found.size() > 1) {
      std::erase_if(found, [&](int i) { return runs_[static_cast<std::size_t>(i)].config.seed != run.config.seed; });
    }
    if (found.size() == 1) return found.front();
    if (found.empty()) {
      report(run, "no run of this file is called '" + name + "'" + did_you_mean(name, names()) + "; the name of files needs no 'run:'");
    } else {
      report(run, "several runs are called '" + name + "'; write EXPERIMENT/RUN");
    }
    return -1;
  }

  static bool in_circle(int start, const Indices& origins) {
    int at = origins[static_cast<std::size_t>(start)];
    for (std::size_t steps = 0; at >= 0 && steps < origins.size(); ++steps) {
      if (at == start) return true;
      at = origins[static_cast<std::size_t>(at)];
    }
    return false;
  }

  std::vector<std::string> names() const {
    std::set<std::string> all;
    for (const DraftRun& run : runs_) all.insert({run.run.name, run.run.family});
    return {all.begin(), all.end()};
  }

  const std::vector<DraftRun>& runs_;
  std::vector<Problem>& problems_;
};

}  // namespace

std::optional<std::string> origin_of(const RunConfig& config) {
  const std::string& source = config.train.init_from;
  if (!source.starts_with(kRunPrefix)) return std::nullopt;
  return source.substr(kRunPrefix.size());
}

std::vector<int> find_origins(const std::vector<DraftRun>& runs, std::vector<Problem>& problems) {
  return OriginFinder(runs, problems).find();
}

}  // namespace moelab::core
