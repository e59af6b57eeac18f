// Runs: listing, detail and verbs.
#include "server/http/api.h"
#include "server/http/json_codec.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/http/request_body.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

constexpr std::size_t kMaxText = 200;

RunId run_id(const Call& call) {
  return parse_id(std::string(call.id), "run");
}

}  // namespace

void list_runs(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"state", "experiment", "tag", "search", "sort", "limit", "cursor", "archived"});
  RunQuery wanted;
  for (const std::string& name : query.list("state", kMaxText)) wanted.states.push_back(core::run_state_from(name));
  wanted.experiment = query.optional_integer("experiment", 1, INT64_MAX);
  wanted.tag = query.text("tag", kMaxText);
  wanted.search = query.text("search", kMaxText);
  wanted.sort = query.text("sort", kMaxText);
  wanted.limit = query.integer("limit", 100, 1, 1000);
  wanted.cursor = query.text("cursor", kMaxText);
  wanted.archived = query.flag("archived");
  reply_json(response, to_json(api.service.runs(wanted)));
}

void get_run(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, to_json(api.service.run_detail(run_id(call))));
}

void act_on_run(Api& api, const Call& call, httplib::Response& response) {
  const RunVerb verb = run_verb_from(std::string(call.verb));
  reply_json(response, to_json(api.service.act(verb, run_id(call))));
}

void act_on_runs(Api& api, const Call& call, httplib::Response& response) {
  const RunVerb verb = run_verb_from(std::string(call.verb));
  RequestBody body(call.request, {"ids"});
  const std::vector<RunId> ids = body.run_ids();
  body.finish();
  reply_json(response, to_json(api.service.act(verb, ids)));
}

void set_priority(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"priority"});
  const int priority = body.priority();
  body.finish();
  reply_json(response, to_json(api.service.set_priority(run_id(call), priority)));
}

void force_run(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"device"});
  const std::string device = body.text("device");
  body.finish();
  reply_json(response, to_json(api.service.force(run_id(call), device)));
}

void set_priorities(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"ids", "priority"});
  const std::vector<RunId> ids = body.run_ids();
  const int priority = body.priority();
  body.finish();
  reply_json(response, to_json(api.service.set_priority(ids, priority)));
}

void force_runs(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"ids", "device"});
  const std::vector<RunId> ids = body.run_ids();
  const std::string device = body.text("device");
  body.finish();
  reply_json(response, to_json(api.service.force(ids, device)));
}

}  // namespace moelab::server::http
