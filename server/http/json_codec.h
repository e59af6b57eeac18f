// Owns the JSON form of every view, as openapi.yaml describes it. Called by the <noun>_api.cpp files and by cli/ for --json
// of commands that work without a daemon.
#pragma once

#include <nlohmann/json.hpp>

#include "core/metric_catalog.h"
#include "server/views.h"

namespace moelab::server::http {

nlohmann::json to_json(const RunView& run);
nlohmann::json to_json(const RunDetail& detail);
nlohmann::json to_json(const RunPage& page);
nlohmann::json to_json(const std::vector<RunView>& runs);
nlohmann::json to_json(const VerbResult& result);
nlohmann::json to_json(const QueueView& queue);
nlohmann::json to_json(const ExperimentView& experiment);
nlohmann::json to_json(const std::vector<ExperimentView>& experiments);
nlohmann::json to_json(const ResultTable& table);
nlohmann::json to_json(const SubmitResult& result);
nlohmann::json to_json(const std::vector<SeriesView>& series);
nlohmann::json to_json(const DeviceView& device);
nlohmann::json to_json(const DevicesView& devices);
nlohmann::json to_json(const HealthView& health);
nlohmann::json to_json(const std::vector<core::MetricInfo>& catalog);

// ExperimentDetail: the experiment and the name of its YAML file.
nlohmann::json experiment_detail_json(const ExperimentView& experiment);

}  // namespace moelab::server::http
