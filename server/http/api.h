// Owns the list of handlers, each in the file of its noun. They parse the request, call run_service and encode its answer;
// they decide nothing. Referred to by routes.cpp only.
#pragma once

#include "server/http/route.h"

namespace moelab::server::http {

// service_api.cpp
void healthz(Api& api, const Call& call, httplib::Response& response);
void get_prometheus(Api& api, const Call& call, httplib::Response& response);
void get_openapi(Api& api, const Call& call, httplib::Response& response);
void get_health(Api& api, const Call& call, httplib::Response& response);
void get_metrics_catalog(Api& api, const Call& call, httplib::Response& response);
void get_schema(Api& api, const Call& call, httplib::Response& response);

// stream_api.cpp
void stream(Api& api, const Call& call, httplib::Response& response);

// experiments_api.cpp
void list_experiments(Api& api, const Call& call, httplib::Response& response);
void submit_experiments(Api& api, const Call& call, httplib::Response& response);
void get_experiment(Api& api, const Call& call, httplib::Response& response);
void get_results(Api& api, const Call& call, httplib::Response& response);
void get_lr_sweep(Api& api, const Call& call, httplib::Response& response);
void act_on_experiment(Api& api, const Call& call, httplib::Response& response);
void set_experiment_priority(Api& api, const Call& call, httplib::Response& response);
void force_experiment(Api& api, const Call& call, httplib::Response& response);

// statistics_api.cpp
void get_statistics(Api& api, const Call& call, httplib::Response& response);

// runs_api.cpp
void list_runs(Api& api, const Call& call, httplib::Response& response);
void get_run(Api& api, const Call& call, httplib::Response& response);
void act_on_run(Api& api, const Call& call, httplib::Response& response);
void act_on_runs(Api& api, const Call& call, httplib::Response& response);
void set_priority(Api& api, const Call& call, httplib::Response& response);
void force_run(Api& api, const Call& call, httplib::Response& response);
void set_priorities(Api& api, const Call& call, httplib::Response& response);
void force_runs(Api& api, const Call& call, httplib::Response& response);

// queue_api.cpp
void get_queue(Api& api, const Call& call, httplib::Response& response);
void hold_queue(Api& api, const Call& call, httplib::Response& response);
void drain_queue(Api& api, const Call& call, httplib::Response& response);
void release_queue(Api& api, const Call& call, httplib::Response& response);

// metrics_api.cpp
void get_metrics(Api& api, const Call& call, httplib::Response& response);

// expert_load_api.cpp
void get_expert_load(Api& api, const Call& call, httplib::Response& response);

// artifact_api.cpp
void get_artifact(Api& api, const Call& call, httplib::Response& response);

// logs_api.cpp
void get_logs(Api& api, const Call& call, httplib::Response& response);

// retention_api.cpp
void delete_run(Api& api, const Call& call, httplib::Response& response);
void delete_runs(Api& api, const Call& call, httplib::Response& response);
void delete_experiment(Api& api, const Call& call, httplib::Response& response);
void collect_garbage(Api& api, const Call& call, httplib::Response& response);

// devices_api.cpp
void list_devices(Api& api, const Call& call, httplib::Response& response);
void enable_device(Api& api, const Call& call, httplib::Response& response);
void disable_device(Api& api, const Call& call, httplib::Response& response);

// webhooks_api.cpp
void list_webhooks(Api& api, const Call& call, httplib::Response& response);
void add_webhook(Api& api, const Call& call, httplib::Response& response);
void get_webhook(Api& api, const Call& call, httplib::Response& response);
void delete_webhook(Api& api, const Call& call, httplib::Response& response);
void enable_webhook(Api& api, const Call& call, httplib::Response& response);
void disable_webhook(Api& api, const Call& call, httplib::Response& response);
void test_webhook(Api& api, const Call& call, httplib::Response& response);
void list_deliveries(Api& api, const Call& call, httplib::Response& response);

}  // namespace moelab::server::http
