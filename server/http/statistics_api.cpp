// GET /api/v1/experiments/{id}/statistics: how far the families of an experiment lie from their baseline, and the noise.
#include "server/analysis/experiment_statistics.h"
#include "server/http/api.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/http/statistics_json.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

constexpr const char* kDefaultMetric = "eval/loss";

}  // namespace

void get_statistics(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"metric", "archived"});
  const ExperimentId id = parse_id(std::string(call.id), "experiment");
  const std::string metric = query.text("metric", 200);
  reply_json(response, to_json(api.service.statistics(id, metric.empty() ? kDefaultMetric : metric, query.flag("archived"))));
}

}  // namespace moelab::server::http
