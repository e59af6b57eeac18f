#include "server/analysis/lr_sweep_store.h"

#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/config_json.h"
#include "core/error.h"
#include "db/experiment_store.h"
#include "db/metric_store.h"
#include "db/run_store.h"

namespace moelab::server {
namespace {

bool is_sweep(const std::string& experiment) {
  return experiment.ends_with(core::kLrSweepSuffix);
}

// "cf1" of "cf1,lr=0.0001"
std::string variant_of(const std::string& run) {
  return run.substr(0, run.rfind(",lr="));
}

// All that decides a loss but the rate.
nlohmann::json setting_of(nlohmann::json config) {
  config["train"].erase("lr");
  for (const char* group : {"resources", "checkpoint"}) config.erase(group);
  return config;
}

db::ExperimentRow sweep_of(db::Connection& c, std::int64_t id) {
  db::ExperimentStore experiments(c);
  const db::ExperimentRow asked = experiments.get(id);
  if (is_sweep(asked.name)) return asked;
  for (const db::ExperimentRow& row : experiments.all()) {
    if (row.matrix == asked.matrix && row.profile == asked.profile && row.name == core::lr_sweep_experiment(asked.name)) return row;
  }
  throw core::Error(core::ErrorKind::not_found,
                    "the experiment " + asked.name + " has no learning-rate sweep; `moelab sweep FILE` makes one");
}

}  // namespace

LrSweepReport read_lr_sweep(db::Connection& connection, std::int64_t experiment) {
  const db::ExperimentRow sweep = sweep_of(connection, experiment);
  db::RunStore runs(connection);
  db::MetricStore metrics(connection);
  std::vector<SweptRate> rates;
  for (const db::MemberRow& member : db::ExperimentStore(connection).members(sweep.id)) {
    const db::RunRow run = runs.get(member.run_id);
    const nlohmann::json train = runs.spec(run.id).at("config").at("train");
    SweptRate rate;
    rate.variant = variant_of(member.name);
    rate.rate = train.at("lr").get<double>();
    rate.run_id = run.id;
    rate.state = run.state;
    rate.reason = run.reason;
    rate.steps = train.at("max_steps").get<std::int64_t>();
    rate.warmup = train.at("warmup_steps").get<std::int64_t>();
    for (const db::MetricPoint& point : metrics.query(run.id, "train/loss", 0, 0).points) rate.loss.emplace_back(point.step, point.value);
    if (!rate.loss.empty()) {
      const db::Series norms = metrics.query(run.id, "train/grad_norm", rate.loss.back().first, 0);
      if (!norms.points.empty()) rate.grad_norm = norms.points.back().value;
    }
    rates.push_back(std::move(rate));
  }
  LrSweepReport report = report_lr_sweep(rates);
  report.experiment = sweep.name.substr(0, sweep.name.size() - core::kLrSweepSuffix.size());
  report.experiment_id = sweep.id;
  return report;
}

std::vector<std::int64_t> drop_stale_rates(db::Connection& connection, std::int64_t experiment, const core::Plan& plan) {
  db::ExperimentStore experiments(connection);
  const std::string name = experiments.get(experiment).name;
  if (!is_sweep(name)) return {};
  std::map<std::string, nlohmann::json> settings;  // by variant
  std::set<std::string> planned;
  for (const core::PlannedRun& run : plan.runs) {
    if (run.spec.experiment != name) continue;
    settings.emplace(variant_of(run.spec.name), setting_of(core::to_json(run.spec.config)));
    planned.insert(run.spec.name);
  }
  std::vector<std::int64_t> dropped;
  db::RunStore runs(connection);
  for (const db::MemberRow& member : experiments.members(experiment)) {
    const auto setting = settings.find(variant_of(member.name));
    if (planned.contains(member.name) || setting == settings.end()) continue;
    if (setting_of(runs.spec(member.run_id).at("config")) == setting->second) continue;
    experiments.drop_member(experiment, member.name);
    dropped.push_back(member.run_id);
  }
  return dropped;
}

}  // namespace moelab::server
