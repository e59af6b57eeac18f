#include "core/expansion.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "core/field_io.h"
#include "core/number_text.h"

namespace moelab::core {
namespace {

nlohmann::json typed_value(const Assignment& assignment) {
  RunConfig scratch;
  read_field(scratch, assignment.path, assignment.value);
  return field_json(scratch, assignment.path);
}

std::string last_segment(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

// Characters of a value that check_name() would not allow in a name.
std::string safe(std::string text) {
  for (char& c : text) {
    const bool allowed = std::isalnum(static_cast<unsigned char>(c)) || std::string_view("_.=,+@-").find(c) != std::string_view::npos;
    if (!allowed) c = '_';
  }
  return text;
}

std::string value_label(const nlohmann::json& value, bool names_files) {
  if (value.is_array()) {
    std::string text;
    for (const auto& item : value) text += (text.empty() ? "" : "+") + value_label(item, names_files);
    return text.empty() ? "none" : text;
  }
  if (value.is_object()) {
    std::string text;
    for (const auto& [key, item] : value.items()) text += (text.empty() ? "" : "+") + key + '=' + value_label(item, names_files);
    return text.empty() ? "none" : text;
  }
  if (value.is_number()) return number_text(value.get<double>());
  if (!value.is_string()) return value.dump();
  const auto text = value.get<std::string>();
  return safe(names_files ? std::filesystem::path(text).filename().string() : text);
}

class Expander {
 public:
  Expander(const MatrixFile& file, const ExperimentDef& experiment, const std::string& profile, std::vector<Problem>& problems,
           std::vector<Problem>& warnings)
      : experiment_(experiment), profile_(profile), problems_(problems), warnings_(warnings) {
    base_ = file.defaults;
    append_profile(base_, file.profiles);
    base_.insert(base_.end(), experiment.settings.begin(), experiment.settings.end());
    append_profile(base_, experiment.profiles);
    seeds_ = experiment.seeds.empty() ? Dimension(1) : experiment.seeds;
    note_paths();
    excluded_by_.assign(experiment.exclude.size(), 0);
  }

  Expansion expand() {
    warnings_.insert(warnings_.end(), experiment_.warnings.begin(), experiment_.warnings.end());
    if (!fits() || lacks_choices()) return {};
    const bool only_included = experiment_.dimensions.empty() && !experiment_.include.empty();
    std::vector<const Choice*> taken;
    if (!only_included) cross(0, taken);
    for (const Choice& choice : experiment_.include) cross_seeds({&choice}, false);
    for (std::size_t i = 0; i < excluded_by_.size(); ++i) {
      if (excluded_by_[i] > 0) continue;
      warnings_.push_back(
          {experiment_.name + ".exclude[" + std::to_string(i) + "]", experiment_.exclude[i].front().line, "matches no run"});
    }
    if (runs_.empty()) problems_.push_back({experiment_.name, experiment_.line, "has no run left: everything is excluded"});
    return {std::move(base_), std::move(runs_)};
  }

 private:
  void append_profile(Layer& layer, const ProfileLayers& profiles) const {
    const auto it = profiles.find(profile_);
    if (it != profiles.end()) layer.insert(layer.end(), it->second.begin(), it->second.end());
  }

  bool fits() {
    double count = 1;
    for (const Dimension& dimension : experiment_.dimensions) count *= static_cast<double>(dimension.size());
    count = (count + static_cast<double>(experiment_.include.size())) * static_cast<double>(seeds_.size());
    if (count <= static_cast<double>(kMaxRuns)) return true;
    char text[32];
    std::snprintf(text, sizeof text, "%.0f", count);
    problems_.push_back(
        {experiment_.name, experiment_.line,
         "asks for " + std::string(text) + " runs; the limit of a file is " + std::to_string(kMaxRuns) + ", so shorten an axis"});
    return false;
  }

  // An axis whose values were all wrong has been reported where it was read.
  bool lacks_choices() const {
    return std::any_of(experiment_.dimensions.begin(), experiment_.dimensions.end(), [](const Dimension& d) { return d.empty(); });
  }

  // Two knobs with one last segment (seed, data.seed) are told apart in names by their whole path.
  void note_paths() {
    std::set<std::string> paths;
    const auto note = [&](const Dimension& dimension) {
      for (const Choice& choice : dimension) {
        for (const Assignment& assignment : choice.settings) paths.insert(assignment.path);
      }
    };
    for (const Dimension& dimension : experiment_.dimensions) note(dimension);
    note(experiment_.include);
    note(experiment_.seeds);
    for (const std::string& path : paths) ++uses_of_segment_[last_segment(path)];
  }

  std::string label(const Choice& choice) const {
    if (!choice.label.empty()) return choice.label;
    std::string text;
    for (const Assignment& assignment : choice.settings) {
      const std::string segment = last_segment(assignment.path);
      const bool ambiguous = uses_of_segment_.at(segment) > 1;
      text += (text.empty() ? "" : ",") + (ambiguous ? assignment.path : segment) + '=' +
              value_label(typed_value(assignment), is_source_field(assignment.path));
    }
    return text;
  }

  void cross(std::size_t depth, std::vector<const Choice*>& taken) {
    if (depth == experiment_.dimensions.size()) {
      cross_seeds(taken, true);
      return;
    }
    for (const Choice& choice : experiment_.dimensions[depth]) {
      taken.push_back(&choice);
      cross(depth + 1, taken);
      taken.pop_back();
    }
  }

  void cross_seeds(const std::vector<const Choice*>& taken, bool excludable) {
    for (const Choice& seed : seeds_) add(taken, seed, excludable);
  }

  void add(const std::vector<const Choice*>& taken, const Choice& seed, bool excludable) {
    ExpandedRun run;
    run.line = taken.empty() ? experiment_.line : taken.front()->line;
    run.depends_on = experiment_.depends_on;
    Layer varied;
    for (const Choice* choice : taken) {
      const std::string part = label(*choice);
      run.family += (run.family.empty() || part.empty() ? "" : ",") + part;
      std::string& place = choice->label.empty() ? run.point : run.variant;
      place += (place.empty() ? "" : ",") + part;
      run.notes += (run.notes.empty() || choice->notes.empty() ? "" : "\n") + choice->notes;
      run.tags.insert(run.tags.end(), choice->tags.begin(), choice->tags.end());
      run.depends_on.insert(run.depends_on.end(), choice->depends_on.begin(), choice->depends_on.end());
      varied.insert(varied.end(), choice->settings.begin(), choice->settings.end());
    }
    for (const Choice* choice : taken) append_profile(varied, choice->profiles);
    varied.insert(varied.end(), seed.settings.begin(), seed.settings.end());
    if (excludable && is_excluded(varied)) return;
    if (run.family.empty()) run.family = experiment_.name;
    run.name = run.family;
    if (seeds_.size() > 1) run.name += ',' + label(seed);
    run.settings = std::move(varied);
    if (!names_.insert(run.name).second) {
      problems_.push_back({experiment_.name, run.line, "two runs are called '" + run.name + "'; a value is listed twice"});
      return;
    }
    runs_.push_back(std::move(run));
  }

  bool is_excluded(const Layer& varied) {
    if (experiment_.exclude.empty()) return false;
    std::map<std::string, nlohmann::json> values;
    for (const Assignment& assignment : varied) values[assignment.path] = typed_value(assignment);
    bool excluded = false;
    for (std::size_t i = 0; i < experiment_.exclude.size(); ++i) {
      const Layer& pattern = experiment_.exclude[i];
      const bool matches = std::all_of(pattern.begin(), pattern.end(), [&](const Assignment& a) {
        const auto it = values.find(a.path);
        return it != values.end() && it->second == typed_value(a);
      });
      if (matches) ++excluded_by_[i];
      excluded = excluded || matches;
    }
    return excluded;
  }

  const ExperimentDef& experiment_;
  const std::string& profile_;
  std::vector<Problem>& problems_;
  std::vector<Problem>& warnings_;
  Layer base_;
  Dimension seeds_;
  std::map<std::string, int> uses_of_segment_;
  std::vector<int> excluded_by_;
  std::set<std::string> names_;
  std::vector<ExpandedRun> runs_;
};

}  // namespace

Expansion expand(const MatrixFile& file, const ExperimentDef& experiment, const std::string& profile, std::vector<Problem>& problems,
                 std::vector<Problem>& warnings) {
  return Expander(file, experiment, profile, problems, warnings).expand();
}

}  // namespace moelab::core
