#include "core/lr_sweep.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/field_io.h"
#include "core/number_text.h"

namespace moelab::core {
namespace {

// Settings that make the last losses of all rates comparable.
void set_rate(RunConfig& config, const LrSweep& sweep, double rate) {
  config.train.lr = rate;
  config.train.schedule = Schedule::constant;
  config.train.warmup_steps = sweep.warmup;
  config.train.max_steps = sweep.steps;
  config.train.log_interval = 1;
  config.train.eval_interval = sweep.steps;
  config.train.save_interval = sweep.steps;
  config.train.expert_load_interval = sweep.steps;
  config.early_stop = {};  // a rate is judged by its loss after all steps
  config.checkpoint.keep_last = 1;
  config.checkpoint.keep_best = 0;
}

ExperimentDef experiment_of_sweep(const ExperimentDef& source, const LrSweep& sweep) {
  ExperimentDef experiment;
  experiment.name = lr_sweep_experiment(source.name);
  experiment.line = source.line;
  experiment.notes = "Learning-rate sweep of " + source.name + ": " + counted(static_cast<std::int64_t>(sweep.rates.size()), "rate") + ", " +
                     counted(sweep.steps, "step") + " each, " + std::to_string(sweep.warmup) + " of them warm-up.";
  experiment.tags = source.tags;
  experiment.tags.emplace_back("lr_sweep");
  experiment.priority = source.priority;
  experiment.max_concurrent = source.max_concurrent;
  return experiment;
}

}  // namespace

void check_lr_sweep(const LrSweep& sweep) {
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::usage, "lr_sweep: " + message); };
  if (sweep.rates.empty()) refuse("rates is empty; name at least one learning rate, or leave it out for the usual 12");
  if (sweep.rates.size() > kMaxRates) {
    refuse("rates has " + counted(static_cast<std::int64_t>(sweep.rates.size()), "value") + "; the limit is " + std::to_string(kMaxRates));
  }
  // The knobs' own ranges hold here too: a value that no file could hold would be refused by the worker, when all is queued.
  RunConfig scratch;
  std::set<double> seen;
  for (const double rate : sweep.rates) {
    if (const auto problem = read_field(scratch, "train.lr", Node::scalar(number_text(rate)))) refuse("a rate " + *problem);
    if (!seen.insert(rate).second) refuse("rates lists " + number_text(rate) + " twice");
  }
  if (const auto problem = read_field(scratch, "train.max_steps", Node::scalar(std::to_string(sweep.steps)))) refuse("steps " + *problem);
  if (sweep.warmup < 0 || sweep.warmup >= sweep.steps) {
    refuse("warmup must be at least 0 and shorter than the " + counted(sweep.steps, "step") + ", not " + std::to_string(sweep.warmup));
  }
}

std::string lr_sweep_experiment(const std::string& experiment) {
  return experiment + std::string(kLrSweepSuffix);
}

std::string lr_sweep_run(const std::string& family, double rate) {
  return family + ",lr=" + number_text(rate);
}

std::vector<SweptRun> sweep_rates(const LrSweep& sweep, const std::vector<DraftRun>& runs, const std::vector<bool>& wanted,
                                  std::deque<ExperimentDef>& experiments) {
  std::vector<double> rates = sweep.rates;
  std::sort(rates.begin(), rates.end());
  std::vector<SweptRun> swept;
  std::set<std::pair<const ExperimentDef*, std::string>> families;
  const ExperimentDef* source = nullptr;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!wanted[i] || !families.emplace(runs[i].experiment, runs[i].run.family).second) continue;
    if (source != runs[i].experiment) {
      source = runs[i].experiment;
      experiments.push_back(experiment_of_sweep(*source, sweep));
    }
    for (const double rate : rates) {
      DraftRun draft{&experiments.back(), runs[i].run, runs[i].config};
      draft.run.name = draft.run.family = lr_sweep_run(runs[i].run.family, rate);
      draft.run.depends_on.clear();
      set_rate(draft.config, sweep, rate);
      swept.push_back({std::move(draft), i});
    }
  }
  return swept;
}

}  // namespace moelab::core
