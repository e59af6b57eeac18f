#include "core/dependency.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/circle.h"
#include "core/nearest_name.h"
#include "core/origin.h"

namespace moelab::core {
namespace {

constexpr const char* kInitFrom = "train.init_from";

std::string full_name(const DraftRun& run) {
  return run.experiment->name + '/' + run.run.name;
}

class DependencyFinder {
 public:
  DependencyFinder(const std::vector<DraftRun>& runs, std::vector<Problem>& problems) : runs_(runs), problems_(problems) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto& [experiment, run, config] = runs[i];
      for (const std::string& name : std::set<std::string>{run.name, run.family}) {
        named_[name].push_back(static_cast<int>(i));
        named_[experiment->name + '/' + name].push_back(static_cast<int>(i));
      }
      members_[experiment->name].push_back(static_cast<int>(i));
    }
  }

  Dependencies find() {
    Dependencies found{std::vector<int>(runs_.size(), -1), std::vector<std::vector<int>>(runs_.size())};
    for (std::size_t i = 0; i < runs_.size() && links_ <= kMaxLinks; ++i) {
      const DraftRun& run = runs_[i];
      std::set<int> earlier;
      if (const auto name = origin_of(run.config)) {
        found.origins[i] = run_called(run, {*name, kInitFrom, 0});
        if (found.origins[i] >= 0) earlier.insert(found.origins[i]);
      }
      for (const Reference& reference : run.run.depends_on) {
        for (const int other : runs_called(run, reference)) earlier.insert(other);
      }
      links_ += static_cast<std::int64_t>(earlier.size());
      found.earlier[i].assign(earlier.begin(), earlier.end());
    }
    if (links_ > kMaxLinks) {
      problems_.push_back({"depends_on", 0,
                           "asks for more than " + std::to_string(kMaxLinks) +
                               " links between runs; name single runs in the place of whole experiments"});
      return found;
    }
    for (const auto& [problem, where] : unresolved_) {
      const auto& [line, path, message] = problem;
      const std::string more = where.second > 1 ? " and " + std::to_string(where.second - 1) + " more" : "";
      problems_.push_back({path, line, message + " (run " + where.first + more + ")"});
    }
    report_circles(find_circles(found.earlier));
    return found;
  }

 private:
  // Runs of one experiment share a slip: it is said once.
  void report(const DraftRun& run, const Reference& reference, const std::string& message) {
    auto& [first, count] = unresolved_[{reference.line, reference.path, message}];
    if (count++ == 0) first = full_name(run);
  }

  // Circles that one line of the file makes (one a seed) are said once.
  void report_circles(const std::vector<std::vector<int>>& circles) {
    std::map<std::pair<int, std::string>, std::vector<const std::vector<int>*>> by_place;
    for (const std::vector<int>& circle : circles) {
      std::pair<int, std::string> place{0, kInitFrom};
      for (const int i : circle) {
        const std::vector<Reference>& references = runs_[static_cast<std::size_t>(i)].run.depends_on;
        if (references.empty()) continue;
        place = {references.front().line, references.front().path};
        break;
      }
      by_place[place].push_back(&circle);
    }
    for (const auto& [place, found] : by_place) {
      const bool one_line = place.first > 0;
      for (std::size_t i = 0; i < (one_line ? 1 : found.size()); ++i) {
        std::string message = "no run of a circle could ever start: " + circle_text(runs_, *found[i]);
        if (one_line && found.size() > 1) message += " (and " + std::to_string(found.size() - 1) + " more like it)";
        problems_.push_back({place.second, place.first, std::move(message)});
      }
    }
  }

  std::vector<int> runs_called(const DraftRun& run, const Reference& reference) {
    const auto experiment = members_.find(reference.name);
    if (experiment != members_.end() && !named_.contains(reference.name)) return experiment->second;
    const int one = run_called(run, reference);
    return one < 0 ? std::vector<int>{} : std::vector<int>{one};
  }

  int run_called(const DraftRun& run, const Reference& reference) {
    const auto known = named_.find(reference.name);
    if (known == named_.end()) {
      report(run, reference, "no run of this file is called '" + reference.name + "'" + suggestion(reference));
      return -1;
    }
    std::vector<int> found;
    const auto in_own = [&](int i) { return runs_[static_cast<std::size_t>(i)].experiment == run.experiment; };
    std::copy_if(known->second.begin(), known->second.end(), std::back_inserter(found), in_own);
    if (found.empty()) found = known->second;
    if (found.size() > 1) {
      std::erase_if(found, [&](int i) { return runs_[static_cast<std::size_t>(i)].config.seed != run.config.seed; });
    }
    if (found.size() == 1) return found.front();
    report(run, reference,
           found.empty() ? "no run called '" + reference.name + "' has seed " + std::to_string(run.config.seed) + "; name one with its seed"
                         : "several runs are called '" + reference.name + "'; write EXPERIMENT/RUN");
    return -1;
  }

  std::string suggestion(const Reference& reference) {
    auto [text, is_new] = suggestions_.emplace(reference.name + '\n' + reference.path, "");
    if (!is_new) return text->second;
    std::set<std::string> names;
    const bool whole = reference.name.find('/') != std::string::npos;
    for (const DraftRun& run : runs_) {
      names.insert(whole ? full_name(run) : run.run.name);
      names.insert(whole ? run.experiment->name + '/' + run.run.family : run.run.family);
    }
    const bool weights = reference.path == kInitFrom;
    if (!weights) {
      for (const auto& entry : members_) names.insert(entry.first);
    }
    text->second = did_you_mean(reference.name, {names.begin(), names.end()});
    if (weights) text->second += "; the name of files needs no 'run:'";
    return text->second;
  }

  const std::vector<DraftRun>& runs_;
  std::vector<Problem>& problems_;
  std::unordered_map<std::string, std::vector<int>> named_;  // NAME and EXPERIMENT/NAME
  std::unordered_map<std::string, std::vector<int>> members_;
  std::map<std::tuple<int, std::string, std::string>, std::pair<std::string, int>> unresolved_;  // line, key, message: first run, runs
  std::map<std::string, std::string> suggestions_;
  std::int64_t links_ = 0;
};

}  // namespace

std::string circle_text(const std::vector<DraftRun>& runs, const std::vector<int>& circle) {
  constexpr std::size_t kShown = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(circle.size(), kShown); ++i) text += full_name(runs[static_cast<std::size_t>(circle[i])]) + " -> ";
  if (circle.size() > kShown) text += "... (" + std::to_string(circle.size() - kShown) + " more) -> ";
  return text + full_name(runs[static_cast<std::size_t>(circle.front())]);
}

Dependencies find_dependencies(const std::vector<DraftRun>& runs, std::vector<Problem>& problems) {
  return DependencyFinder(runs, problems).find();
}

}  // namespace moelab::core
