// Owns the JSON form of an experiment's statistics, component Statistics of openapi.yaml. Called by statistics_api.cpp.
#pragma once

#include <nlohmann/json.hpp>

#include "server/analysis/experiment_statistics.h"

namespace moelab::server::http {

nlohmann::json to_json(const ExperimentStatistics& statistics);

}  // namespace moelab::server::http
