// The JSON form of a plan: `moelab plan --json` and POST /experiments with dry_run.
#include "core/config_json.h"
#include "core/plan.h"

namespace moelab::core {
namespace {

nlohmann::json run_json(const PlannedRun& run) {
  nlohmann::json json = to_json(run.cost);
  json["name"] = run.spec.name;
  json["family"] = run.spec.family;
  json["experiment"] = run.spec.experiment;
  json["key"] = run.spec.key;
  json["state"] = "planned";
  json["same_as"] = run.same_as.empty() ? nlohmann::json() : nlohmann::json(run.same_as);
  json["data_missing"] = run.data_missing();
  json["baseline"] = run.spec.baseline.empty() ? nlohmann::json() : nlohmann::json(run.spec.baseline);
  json["depends_on"] = run.waits_for;
  json["tags"] = run.spec.tags;
  json["notes"] = run.spec.notes;
  json["varied"] = run.varied;
  json["config"] = to_json(run.spec.config);
  return json;
}

nlohmann::json problem_json(const Problem& problem) {
  return {{"path", problem.path}, {"line", problem.line}, {"message", problem.message}};
}

}  // namespace

// Totals count a run once however often it is listed; they are null while the length of any run is unknown.
nlohmann::json to_json(const Plan& plan) {
  nlohmann::json json = {
      {"matrix", plan.matrix}, {"profile", plan.profile}, {"runs", nlohmann::json::array()}, {"warnings", nlohmann::json::array()}};
  std::int64_t tokens = 0, distinct = 0;
  double flops = 0;
  bool known = true;
  for (const PlannedRun& run : plan.runs) {
    json["runs"].push_back(run_json(run));
    if (!run.same_as.empty()) continue;
    ++distinct;
    known = known && run.cost.tokens && run.cost.flops;
    tokens += run.cost.tokens.value_or(0);
    flops += run.cost.flops.value_or(0);
  }
  for (const Problem& warning : plan.warnings) json["warnings"].push_back(problem_json(warning));
  json["totals"] = {{"runs", plan.runs.size()},
                    {"distinct", distinct},
                    {"tokens", known ? nlohmann::json(tokens) : nlohmann::json()},
                    {"flops", known ? nlohmann::json(flops) : nlohmann::json()}};
  return json;
}

}  // namespace moelab::core
