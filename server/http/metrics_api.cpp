// GET /api/v1/runs/{id}/metrics: scalar series.
#include "server/http/api.h"
#include "server/http/json_codec.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/run_service.h"

namespace moelab::server::http {

void get_metrics(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"keys", "from_step", "max_points"});
  const RunId id = parse_id(std::string(call.id), "run");
  const std::vector<std::string> keys = query.list("keys", 2000);
  const std::int64_t from_step = query.integer("from_step", 0, 0, INT64_MAX);
  const std::int64_t max_points = query.integer("max_points", 500, 0, 100'000);
  reply_json(response, to_json(api.service.metrics(id, keys, from_step, max_points)));
}

}  // namespace moelab::server::http
