// Deleting runs with their files, and freeing space.
#include "server/http/api.h"
#include "server/http/json_codec.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/http/request_body.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{1} << 60;
constexpr std::int64_t kMaxSeconds = std::int64_t{100} * 365 * 24 * 3600;

nlohmann::json to_json(const Deleted& deleted) {
  return {{"deleted", deleted.runs}, {"kept", deleted.kept}};
}

nlohmann::json to_json(const GcReport& report) {
  nlohmann::json drops = nlohmann::json::array(), failed = nlohmann::json::array();
  for (const Drop& drop : report.plan.drops) {
    drops.push_back({{"what", to_string(drop.kind)},
                     {"path", drop.path},
                     {"run", drop.run ? nlohmann::json(*drop.run) : nlohmann::json()},
                     {"bytes", drop.bytes},
                     {"why", drop.why}});
  }
  for (const auto& [path, why] : report.failed) failed.push_back({{"path", path}, {"why", why}});
  return {{"dry_run", report.dry_run},
          {"drops", drops},
          {"failed", failed},
          {"notes", report.plan.notes},
          {"bytes_before", report.plan.bytes_before},
          {"bytes_planned", report.plan.bytes_dropped},
          {"bytes_freed", report.freed_bytes},
          {"within_quota", report.plan.within_quota}};
}

}  // namespace

void delete_run(Api& api, const Call& call, httplib::Response& response) {
  reply_json(response, to_json(api.service.retention().remove({parse_id(std::string(call.id), "run")})));
}

void delete_runs(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"ids"});
  const std::vector<RunId> ids = body.run_ids();
  body.finish();
  reply_json(response, to_json(api.service.retention().remove(ids)));
}

void delete_experiment(Api& api, const Call& call, httplib::Response& response) {
  reply_json(response, to_json(api.service.retention().remove_experiment(parse_id(std::string(call.id), "experiment"))));
}

void collect_garbage(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"dry_run", "quota_bytes", "keep_checkpoints", "older_than_s"});
  GcRules rules;
  const bool dry_run = body.flag("dry_run");
  if (body.has("quota_bytes")) rules.quota_bytes = static_cast<std::uint64_t>(body.integer("quota_bytes", 0, kMaxBytes));
  if (body.has("keep_checkpoints")) rules.keep_checkpoints = body.integer("keep_checkpoints", 0, 1'000'000);
  if (body.has("older_than_s")) rules.older_than = std::chrono::seconds(body.integer("older_than_s", 0, kMaxSeconds));
  body.finish();
  reply_json(response, to_json(api.service.retention().gc(rules, dry_run)));
}

}  // namespace moelab::server::http
