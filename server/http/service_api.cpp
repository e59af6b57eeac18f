// The daemon about itself: health, its own metrics, contract, metric catalogue, knobs.
#include "core/field_io.h"
#include "core/metric_catalog.h"
#include "server/http/api.h"
#include "server/http/json_codec.h"
#include "server/http/openapi_document.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/prometheus_text.h"
#include "server/run_service.h"

namespace moelab::server::http {

void healthz(Api&, const Call&, httplib::Response& response) {
  reply_json(response, {{"status", "ok"}});
}

void get_prometheus(Api& api, const Call&, httplib::Response& response) {
  response.set_content(prometheus_text(api.metrics, api.service), kPrometheusContentType);
  response.set_header("Cache-Control", "no-store");
}

void get_openapi(Api&, const Call&, httplib::Response& response) {
  reply_json(response, openapi_document());
}

void get_health(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, to_json(api.service.health()));
}

void get_metrics_catalog(Api&, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, to_json(core::metric_catalog()));
}

void get_schema(Api&, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, {{"fields", core::schema_json()}});
}

}  // namespace moelab::server::http
