// One line an endpoint, the first that fits is taken; openapi.yaml describes the same list and a test compares the two.
#include "server/http/api.h"

namespace moelab::server::http {

const std::vector<Route>& routes() {
  static const std::vector<Route> table = {
      {"GET", "/healthz", healthz},
      {"GET", "/metrics", get_prometheus},
      {"GET", "/openapi.json", get_openapi},
      {"GET", "/api/v1/health", get_health},
      {"GET", "/api/v1/stream", stream},
      {"GET", "/api/v1/experiments", list_experiments},
      {"POST", "/api/v1/experiments", submit_experiments},
      {"GET", "/api/v1/experiments/{id}", get_experiment},
      {"GET", "/api/v1/experiments/{id}/results", get_results},
      {"GET", "/api/v1/experiments/{id}/lr-sweep", get_lr_sweep},
      {"GET", "/api/v1/experiments/{id}/statistics", get_statistics},
      {"POST", "/api/v1/experiments/{id}/delete", delete_experiment},
      {"POST", "/api/v1/experiments/{id}/priority", set_experiment_priority},
      {"POST", "/api/v1/experiments/{id}/force", force_experiment},
      {"POST", "/api/v1/experiments/{id}/{verb}", act_on_experiment},
      {"GET", "/api/v1/runs", list_runs},
      {"POST", "/api/v1/runs/delete", delete_runs},
      {"POST", "/api/v1/runs/priority", set_priorities},
      {"POST", "/api/v1/runs/force", force_runs},
      {"POST", "/api/v1/runs/{verb}", act_on_runs},
      {"GET", "/api/v1/runs/{id}", get_run},
      {"POST", "/api/v1/runs/{id}/priority", set_priority},
      {"POST", "/api/v1/runs/{id}/force", force_run},
      {"POST", "/api/v1/runs/{id}/delete", delete_run},
      {"POST", "/api/v1/runs/{id}/{verb}", act_on_run},
      {"GET", "/api/v1/runs/{id}/metrics", get_metrics},
      {"GET", "/api/v1/runs/{id}/expert-load", get_expert_load},
      {"GET", "/api/v1/runs/{id}/artifact", get_artifact},
      {"GET", "/api/v1/runs/{id}/logs", get_logs},
      {"GET", "/api/v1/queue", get_queue},
      {"POST", "/api/v1/queue/hold", hold_queue},
      {"POST", "/api/v1/queue/drain", drain_queue},
      {"POST", "/api/v1/queue/release", release_queue},
      {"POST", "/api/v1/gc", collect_garbage},
      {"GET", "/api/v1/devices", list_devices},
      {"POST", "/api/v1/devices/{id}/enable", enable_device},
      {"POST", "/api/v1/devices/{id}/disable", disable_device},
      {"GET", "/api/v1/webhooks", list_webhooks},
      {"POST", "/api/v1/webhooks", add_webhook},
      {"GET", "/api/v1/webhooks/{id}", get_webhook},
      {"DELETE", "/api/v1/webhooks/{id}", delete_webhook},
      {"POST", "/api/v1/webhooks/{id}/enable", enable_webhook},
      {"POST", "/api/v1/webhooks/{id}/disable", disable_webhook},
      {"POST", "/api/v1/webhooks/{id}/test", test_webhook},
      {"GET", "/api/v1/webhooks/{id}/deliveries", list_deliveries},
      {"GET", "/api/v1/metrics-catalog", get_metrics_catalog},
      {"GET", "/api/v1/schema", get_schema},
  };
  return table;
}

}  // namespace moelab::server::http
