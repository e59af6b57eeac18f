// Experiments: submitting a matrix, listing, results, verbs.
#include <filesystem>
#include <map>

#include "core/error.h"
#include "core/plan.h"
#include "server/http/api.h"
#include "server/http/lr_sweep_json.h"
#include "server/http/json_codec.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/http/request_body.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

ExperimentId experiment_id(const Call& call) {
  return parse_id(std::string(call.id), "experiment");
}

std::map<std::string, core::RunState> states_by_key(const RunService& service) {
  std::map<std::string, core::RunState> states;
  RunQuery query;
  query.limit = 1000;
  query.archived = true;
  for (;;) {
    const RunPage page = service.runs(query);
    for (const RunView& run : page.runs) states[run.key] = run.state;
    if (!page.next_cursor) return states;
    query.cursor = *page.next_cursor;
  }
}

// The plan with the state of runs that are known already in place of "planned".
nlohmann::json plan_json(const RunService& service, const core::PlanRequest& request) {
  nlohmann::json plan = core::to_json(core::make_plan(request));
  const auto states = states_by_key(service);
  for (nlohmann::json& run : plan.at("runs")) {
    const auto known = states.find(run.at("key").get<std::string>());
    if (known != states.end()) run["state"] = core::to_string(known->second);
  }
  return plan;
}

}  // namespace

void list_experiments(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"archived"});
  const std::vector<ExperimentView> experiments = api.service.experiments(query.flag("archived"));
  reply_json(response, {{"experiments", to_json(experiments)}, {"total", experiments.size()}});
}

void submit_experiments(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"source", "file", "base_dir", "profile", "only", "overrides", "run_overrides", "lr_sweep", "force", "dry_run"});
  body.require("source");
  core::PlanRequest request;
  request.source_text = body.text("source");
  request.source_name = body.text("file", "experiments.yaml");
  const std::filesystem::path home = api.service.health().home;
  request.base_dir = body.text("base_dir", home.string());
  request.profile = body.text("profile");
  request.only = body.texts("only");
  request.overrides = body.texts("overrides");
  request.run_overrides = read_run_overrides(body);
  request.lr_sweep = read_lr_sweep_request(body);
  request.cache_dir = home / "cache";
  const bool force = body.flag("force"), dry_run = body.flag("dry_run");
  body.finish();
  if (!request.base_dir.is_absolute()) {
    throw core::Error(core::ErrorKind::usage, "base_dir must be an absolute directory: relative paths of the file start there.");
  }
  if (dry_run) return reply_json(response, plan_json(api.service, request));
  reply_json(response, to_json(api.service.submit(request, force)), 201);
}

void get_experiment(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, experiment_detail_json(api.service.experiment(experiment_id(call))));
}

void get_results(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"archived"});
  reply_json(response, to_json(api.service.results(experiment_id(call), query.flag("archived"))));
}

void get_lr_sweep(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, to_json(api.service.lr_sweep(experiment_id(call))));
}

void act_on_experiment(Api& api, const Call& call, httplib::Response& response) {
  const RunVerb verb = run_verb_from(std::string(call.verb));
  reply_json(response, to_json(api.service.act_on_experiment(verb, experiment_id(call))));
}

void set_experiment_priority(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"priority"});
  const int priority = body.priority();
  body.finish();
  reply_json(response, to_json(api.service.set_priority(api.service.members(experiment_id(call)), priority)));
}

void force_experiment(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"device"});
  const std::string device = body.text("device");
  body.finish();
  reply_json(response, to_json(api.service.force(api.service.members(experiment_id(call)), device)));
}

}  // namespace moelab::server::http
