#include "core/plan.h"

#include <fnmatch.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "core/baseline.h"
#include "core/circle.h"
#include "core/config_check.h"
#include "core/dependency.h"
#include "core/draft_run.h"
#include "core/field_io.h"
#include "core/layer_reader.h"
#include "core/matrix.h"
#include "core/nearest_name.h"
#include "core/origin.h"
#include "core/run_key.h"
#include "core/yaml_document.h"

namespace moelab::core {
namespace {

constexpr const char* kOverride = "override";  // Assignment::file of command-line settings

void sort_and_unify(std::vector<Problem>& problems) {
  const auto place = [](const Problem& p) { return std::tuple(p.line == 0, p.line); };
  std::stable_sort(problems.begin(), problems.end(), [&](const Problem& a, const Problem& b) { return place(a) < place(b); });
  const auto same = [](const Problem& a, const Problem& b) {
    return std::tie(a.line, a.path, a.message) == std::tie(b.line, b.path, b.message);
  };
  problems.erase(std::unique(problems.begin(), problems.end(), same), problems.end());
}

bool is_match(const std::string& glob, const std::string& name) {
  return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0;
}

class Planner {
 public:
  explicit Planner(const PlanRequest& request) : request_(request) {}

  Plan plan() {
    if (request_.lr_sweep) check_lr_sweep(*request_.lr_sweep);
    overrides_ = read_overrides(request_.overrides, "override");
    for (const auto& [run, texts] : request_.run_overrides) run_overrides_[run] = read_overrides(texts, "override of " + run);
    file_ = read_matrix(request_.source_text, request_.source_name, request_.base_dir, problems_);
    if (problems_.empty()) check_profile();
    warn_of_overridden_axes();
    for (const ExperimentDef& experiment : file_.experiments) draft(experiment);
    check_total();
    baselines_ = find_baselines(drafts_, problems_, plan_.warnings);
    dependencies_ = find_dependencies(drafts_, problems_);
    report_conflicts();
    if (!problems_.empty()) {
      sort_and_unify(problems_);
      throw Error(ErrorKind::config, request_.source_name, std::move(problems_));
    }
    require_overridden_runs();
    const std::vector<bool> wanted = select();
    fill_plan(with_dependencies(request_.lr_sweep ? sweep_of(wanted) : wanted));
    sort_and_unify(plan_.warnings);
    return std::move(plan_);
  }

 private:
  Layer read_overrides(const std::vector<std::string>& texts, const std::string& source) const {
    Layer layer;
    std::vector<Problem> problems;
    const LayerReader reader(request_.base_dir, kOverride, problems);
    for (const std::string& text : texts) {
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos || equals == 0) {
        problems.push_back({text, 0, "must have the form KEY=VALUE, such as train.lr=1e-4"});
        continue;
      }
      Node map;
      map.kind = Node::Kind::map;
      map.entries.push_back({text.substr(0, equals), 0, parse_yaml(text.substr(equals + 1), "override " + text, problems)});
      const Layer read = reader.read(map, "");
      layer.insert(layer.end(), read.begin(), read.end());
    }
    if (!problems.empty()) throw Error(ErrorKind::usage, source, std::move(problems));
    return layer;
  }

  // A run's overrides by its own name and by that of its family, after those of every run.
  Layer overrides_of(const ExperimentDef& experiment, const ExpandedRun& run) const {
    Layer layer = overrides_;
    if (run_overrides_.empty()) return layer;
    for (const std::string& name : std::set<std::string>{run.family, run.name}) {
      const auto found = run_overrides_.find(experiment.name + '/' + name);
      if (found != run_overrides_.end()) layer.insert(layer.end(), found->second.begin(), found->second.end());
    }
    return layer;
  }

  void require_overridden_runs() const {
    if (run_overrides_.empty()) return;
    std::set<std::string> names;
    for (const DraftRun& draft : drafts_) {
      names.insert({draft.experiment->name + '/' + draft.run.name, draft.experiment->name + '/' + draft.run.family});
    }
    for (const auto& entry : run_overrides_) {
      if (names.contains(entry.first)) continue;
      throw Error(ErrorKind::usage, "override of " + entry.first + ": " + request_.source_name + " has no such run" +
                                        did_you_mean(entry.first, {names.begin(), names.end()}) + "; runs are named EXPERIMENT/RUN here");
    }
  }

  void check_profile() const {
    if (request_.profile.empty() || file_.profiles.contains(request_.profile)) return;
    std::vector<std::string> names;
    std::string list;
    for (const auto& entry : file_.profiles) {
      names.push_back(entry.first);
      list += (list.empty() ? "" : ", ") + entry.first;
    }
    throw Error(ErrorKind::usage, request_.source_name + " has no profile '" + request_.profile + "'" +
                                      did_you_mean(request_.profile, names) +
                                      (list.empty() ? "; it defines none" : "; it defines " + list));
  }

  void warn_of_overridden_axes() {
    for (const ExperimentDef& experiment : file_.experiments) {
      std::vector<const Dimension*> axes{&experiment.seeds};
      for (const Dimension& dimension : experiment.dimensions) axes.push_back(&dimension);
      for (const Dimension* axis : axes) {
        if (axis->empty() || !axis->front().label.empty()) continue;
        for (const Assignment& varied : axis->front().settings) warn_if_overridden(varied, experiment);
      }
    }
  }

  void warn_if_overridden(const Assignment& varied, const ExperimentDef& experiment) {
    Layer overrides = overrides_;
    for (const auto& [run, layer] : run_overrides_) {
      if (run.starts_with(experiment.name + '/')) overrides.insert(overrides.end(), layer.begin(), layer.end());
    }
    for (const Assignment& assignment : overrides) {
      if (assignment.path != varied.path) continue;
      plan_.warnings.push_back(
          {varied.path, varied.line, "an override sets what " + experiment.name + " varies: its run names no longer tell their values"});
    }
  }

  void draft(const ExperimentDef& experiment) {
    Expansion expansion = expand(file_, experiment, request_.profile, problems_, plan_.warnings);
    RunConfig base;
    apply(base, expansion.base);
    for (ExpandedRun& run : expansion.runs) {
      DraftRun draft{&experiment, std::move(run), base};
      apply(draft.config, draft.run.settings);
      const Layer overrides = overrides_of(experiment, draft.run);
      apply(draft.config, overrides);
      const std::vector<Problem> warnings = normalize_config(draft.config);
      const std::vector<Conflict> conflicts = check_config(draft.config);
      if (!warnings.empty() || !conflicts.empty()) note(draft, {&expansion.base, &draft.run.settings, &overrides}, warnings, conflicts);
      drafts_.push_back(std::move(draft));
    }
  }

  static void apply(RunConfig& config, const Layer& layer) {
    for (const Assignment& assignment : layer) read_field(config, assignment.path, assignment.value);
  }

  // Adds the line of the setting that decided, and counts the runs that share a problem.
  void note(const DraftRun& draft, const std::vector<const Layer*>& layers, const std::vector<Problem>& warnings,
            const std::vector<Conflict>& conflicts) {
    std::map<std::string, std::pair<int, const Assignment*>> last;  // by path: position of application, setting
    int position = 0;
    for (const Layer* layer : layers) {
      for (const Assignment& assignment : *layer) last[assignment.path] = {position++, &assignment};
    }
    const auto place = [&](const std::vector<std::string>& paths, std::string message) {
      const std::pair<int, const Assignment*>* latest = nullptr;
      for (const std::string& path : paths) {
        const auto it = last.find(path);
        if (it != last.end() && (!latest || it->second.first > latest->first)) latest = &it->second;
      }
      Problem problem{paths.front(), 0, std::move(message)};
      if (!latest) return problem;
      const Assignment& setting = *latest->second;
      if (setting.file.empty()) {
        problem.line = setting.line;
      } else {
        problem.message +=
            setting.file == kOverride ? " (set by an override)" : " (set in " + setting.file + ':' + std::to_string(setting.line) + ')';
      }
      return problem;
    };
    for (const Conflict& conflict : conflicts) {
      const bool all_given =
          std::all_of(conflict.paths.begin(), conflict.paths.end(), [&](const std::string& p) { return last.contains(p); });
      count(conflicts_, place(conflict.paths, conflict.message), draft, all_given);
    }
    for (const Problem& warning : warnings) count(warned_, place({warning.path}, warning.message), draft, true);
  }

  struct Counted {
    Problem problem;
    std::string first_run;
    int runs = 0;
    bool all_given = false;  // every knob involved was written in the file
  };

  static void count(std::vector<Counted>& counted, Problem problem, const DraftRun& draft, bool all_given) {
    for (Counted& known : counted) {
      if (known.problem.path != problem.path || known.problem.line != problem.line || known.problem.message != problem.message) continue;
      ++known.runs;
      return;
    }
    counted.push_back({std::move(problem), draft.experiment->name + '/' + draft.run.name, 1, all_given});
  }

  static Problem with_runs(const Counted& counted) {
    Problem problem = counted.problem;
    problem.message += " (run " + counted.first_run + (counted.runs > 1 ? " and " + std::to_string(counted.runs - 1) + " more" : "") + ")";
    return problem;
  }

  void report_conflicts() {
    // A knob that could not be read has its default here: a conflict with it may be no conflict at all.
    const bool all_read = problems_.empty();
    for (const Counted& conflict : conflicts_) {
      if (all_read || conflict.all_given) problems_.push_back(with_runs(conflict));
    }
    for (const Counted& warning : warned_) plan_.warnings.push_back(with_runs(warning));
  }

  void check_total() {
    if (static_cast<std::int64_t>(drafts_.size()) <= kMaxRuns) return;
    problems_.push_back({"experiments", 0,
                         "ask for " + std::to_string(drafts_.size()) + " runs together; the limit of a file is " +
                             std::to_string(kMaxRuns) + ", so split the file or shorten an axis"});
  }

  // Which drafts the caller wants: every glob must match an experiment, a run or EXPERIMENT/RUN.
  std::vector<bool> select() const {
    std::vector<bool> wanted(drafts_.size(), request_.only.empty());
    std::set<std::string> names;
    for (const DraftRun& draft : drafts_) {
      names.insert(draft.experiment->name);
      names.insert(draft.run.name);
    }
    for (const std::string& glob : request_.only) {
      bool any = false;
      for (std::size_t i = 0; i < drafts_.size(); ++i) {
        const std::string& experiment = drafts_[i].experiment->name;
        const std::string& run = drafts_[i].run.name;
        const bool matches = is_match(glob, experiment) || is_match(glob, run) || is_match(glob, experiment + '/' + run);
        wanted[i] = wanted[i] || matches;
        any = any || matches;
      }
      if (!any) {
        throw Error(ErrorKind::usage, "'" + glob + "' matches no experiment and no run of " + request_.source_name +
                                          did_you_mean(glob, {names.begin(), names.end()}));
      }
    }
    return wanted;
  }

  // The rates of the wanted runs, appended to the drafts and wanted in their place.
  std::vector<bool> sweep_of(const std::vector<bool>& wanted) {
    std::vector<SweptRun> swept = sweep_rates(*request_.lr_sweep, drafts_, wanted, sweep_experiments_);
    if (static_cast<std::int64_t>(swept.size()) > kMaxRuns) {
      throw Error(ErrorKind::usage, "lr_sweep: asks for " + std::to_string(swept.size()) + " runs; the limit is " +
                                        std::to_string(kMaxRuns) + ", so select fewer runs or name fewer rates");
    }
    std::vector<bool> of_sweep(drafts_.size(), false);
    for (SweptRun& run : swept) {
      warn_of_swept_axis(drafts_[run.source]);
      for (const Conflict& conflict : check_config(run.draft.config)) {
        const std::string name = run.draft.experiment->name + '/' + run.draft.run.name;
        problems_.push_back({conflict.paths.front(), 0, conflict.message + " (run " + name + ")"});
      }
      const int origin = dependencies_.origins[run.source];
      drafts_.push_back(std::move(run.draft));
      baselines_.push_back(-1);
      dependencies_.origins.push_back(origin);
      dependencies_.earlier.push_back(origin >= 0 ? std::vector<int>{origin} : std::vector<int>{});
      of_sweep.push_back(true);
    }
    if (!problems_.empty()) throw Error(ErrorKind::config, request_.source_name, std::move(problems_));
    return of_sweep;
  }

  void warn_of_swept_axis(const DraftRun& draft) {
    for (const Dimension& axis : draft.experiment->dimensions) {
      if (axis.empty() || !axis.front().label.empty()) continue;
      for (const Assignment& varied : axis.front().settings) {
        if (varied.path != "train.lr") continue;
        plan_.warnings.push_back(
            {varied.path, varied.line,
             draft.experiment->name + " varies the rate itself, so its runs are swept alike; leave it out with --only"});
      }
    }
  }

  void fill_plan(const std::vector<bool>& wanted) {
    plan_.matrix = file_.name;
    plan_.profile = request_.profile;
    keys_.resize(drafts_.size());
    const std::vector<nlohmann::json> varied = find_varied();
    ContentHasher hasher(request_.cache_dir);
    std::map<std::string, std::size_t> first_with_key;
    for (std::size_t i = 0; i < drafts_.size(); ++i) {
      if (!wanted[i]) continue;
      PlannedRun planned = price(i, hasher);
      planned.varied = varied[i];
      if (baselines_[i] >= 0) {
        const auto baseline = static_cast<std::size_t>(baselines_[i]);
        planned.spec.baseline = drafts_[baseline].run.name;
        planned.spec.baseline_key = key_of(baseline, hasher).hex;
      }
      const auto [first, is_first] = first_with_key.emplace(planned.spec.key, i);
      if (!is_first) planned.same_as = full_name(first->second);
      add_experiment(*drafts_[i].experiment);
      plan_.runs.push_back(std::move(planned));
    }
    require_an_order(wanted, first_with_key);
  }

  std::string full_name(std::size_t i) const { return drafts_[i].experiment->name + '/' + drafts_[i].run.name; }

  // A run that waits for another is of no use without it.
  std::vector<bool> with_dependencies(std::vector<bool> wanted) const {
    std::vector<std::size_t> line;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i]) line.push_back(i);
    }
    for (std::size_t next = 0; next < line.size(); ++next) {
      for (const int earlier : dependencies_.earlier[line[next]]) {
        const auto i = static_cast<std::size_t>(earlier);
        if (!wanted[i]) line.push_back(i);
        wanted[i] = true;
      }
    }
    return wanted;
  }

  // Equal runs train once, so runs may wait for each other that do not by name.
  void require_an_order(const std::vector<bool>& wanted, const std::map<std::string, std::size_t>& first_with_key) const {
    std::vector<std::vector<int>> links(drafts_.size());
    for (std::size_t i = 0; i < drafts_.size(); ++i) {
      if (!wanted[i]) continue;
      const std::size_t from = first_with_key.at(keys_[i].hex);
      for (const int earlier : dependencies_.earlier[i]) {
        const std::size_t to = first_with_key.at(keys_[static_cast<std::size_t>(earlier)].hex);
        if (to != from) links[from].push_back(static_cast<int>(to));
      }
    }
    std::vector<Problem> problems;
    for (const std::vector<int>& circle : find_circles(links)) {
      problems.push_back({"depends_on", 0,
                          "equal runs train once, so no run of this circle could ever start: " + circle_text(drafts_, circle) +
                              "; `moelab plan` without these links says which runs are equal"});
    }
    if (!problems.empty()) throw Error(ErrorKind::config, request_.source_name, std::move(problems));
  }

  // The configuration with its origin by key: two runs that start from equal runs are equal. The origin has been keyed.
  RunConfig resolved(std::size_t i) const {
    RunConfig config = drafts_[i].config;
    const int origin = dependencies_.origins[i];
    if (origin >= 0) config.train.init_from = std::string(kRunPrefix) + keys_[static_cast<std::size_t>(origin)].hex;
    return config;
  }

  const RunKey& key_of(std::size_t i, ContentHasher& hasher) {
    std::vector<std::size_t> chain;  // from here to the first run that has a key or starts from none
    for (int at = static_cast<int>(i); at >= 0 && keys_[static_cast<std::size_t>(at)].hex.empty();
         at = dependencies_.origins[static_cast<std::size_t>(at)])
      chain.push_back(static_cast<std::size_t>(at));
    for (auto link = chain.rbegin(); link != chain.rend(); ++link) keys_[*link] = run_key(resolved(*link), hasher);
    return keys_[i];
  }

  PlannedRun price(std::size_t index, ContentHasher& hasher) {
    const DraftRun& draft = drafts_[index];
    PlannedRun planned;
    const RunKey& key = key_of(index, hasher);
    planned.spec.config = resolved(index);
    planned.missing = key.missing;
    planned.cost = estimate_cost(draft.config);
    RunSpec& spec = planned.spec;
    spec.matrix = file_.name;
    spec.experiment = draft.experiment->name;
    spec.name = draft.run.name;
    spec.family = draft.run.family;
    spec.key = key.hex;
    spec.notes = draft.run.notes;
    spec.tags = draft.experiment->tags;
    for (const std::string& tag : draft.run.tags) {
      if (std::find(spec.tags.begin(), spec.tags.end(), tag) == spec.tags.end()) spec.tags.push_back(tag);
    }
    spec.priority = draft.experiment->priority;
    spec.max_concurrent = draft.experiment->max_concurrent;
    add_dependencies(index, planned, hasher);
    return planned;
  }

  void add_dependencies(std::size_t index, PlannedRun& planned, ContentHasher& hasher) {
    std::set<std::string> keys;
    for (const int earlier : dependencies_.earlier[index]) {
      const auto i = static_cast<std::size_t>(earlier);
      planned.waits_for.push_back(full_name(i));
      const std::string& key = key_of(i, hasher).hex;
      if (earlier != dependencies_.origins[index] && key != planned.spec.key) keys.insert(key);
    }
    planned.spec.depends_on.assign(keys.begin(), keys.end());
  }

  void add_experiment(const ExperimentDef& experiment) {
    if (!plan_.experiments.empty() && plan_.experiments.back().name == experiment.name) return;
    const std::string baseline = experiment.baseline.substr(experiment.baseline.rfind('/') + 1);
    plan_.experiments.push_back(
        {experiment.name, baseline, experiment.notes, experiment.tags, experiment.priority, experiment.max_concurrent, experiment.prune});
  }

  // Per draft, the knobs in which the runs of its experiment are not all alike.
  std::vector<nlohmann::json> find_varied() const {
    std::vector<nlohmann::json> varied(drafts_.size(), nlohmann::json::object());
    for (std::size_t begin = 0, end = 0; begin < drafts_.size(); begin = end) {
      while (end < drafts_.size() && drafts_[end].experiment == drafts_[begin].experiment) ++end;
      std::vector<std::vector<nlohmann::json>> values;
      for (std::size_t i = begin; i < end; ++i) values.push_back(field_values(drafts_[i].config));
      for (std::size_t field = 0; field < field_paths().size(); ++field) {
        const bool alike = std::all_of(values.begin(), values.end(), [&](const auto& row) { return row[field] == values.front()[field]; });
        if (alike) continue;
        for (std::size_t i = begin; i < end; ++i) varied[i][field_paths()[field]] = values[i - begin][field];
      }
    }
    return varied;
  }

  const PlanRequest& request_;
  Layer overrides_;
  std::map<std::string, Layer> run_overrides_;
  MatrixFile file_;
  std::deque<ExperimentDef> sweep_experiments_;  // beside those of file_; drafts point here
  std::vector<Problem> problems_;
  std::vector<DraftRun> drafts_;
  std::vector<int> baselines_;
  Dependencies dependencies_;
  std::vector<RunKey> keys_;  // per draft, made when first asked for
  std::vector<Counted> conflicts_, warned_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const PlanRequest& request) {
  return Planner(request).plan();
}

void require_data(const Plan& plan, const std::string& source_name) {
  std::vector<Problem> problems;
  std::set<std::pair<std::string, std::string>> seen;
  for (const PlannedRun& run : plan.runs) {
    for (const Problem& missing : run.missing) {
      if (!seen.emplace(missing.path, missing.message).second) continue;
      problems.push_back(
          {missing.path, missing.line,
           missing.message + " (run " + run.spec.experiment + '/' + run.spec.name + "); create it, or correct " + missing.path});
    }
  }
  if (!problems.empty()) throw Error(ErrorKind::data, source_name, std::move(problems));
}

}  // namespace moelab::core
