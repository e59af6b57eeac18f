// Owns the JSON of learning-rate sweeps: what a submission may ask for, and the report. Used by experiments_api.cpp.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/lr_sweep.h"
#include "server/analysis/lr_sweep.h"
#include "server/http/request_body.h"

namespace moelab::server::http {

// `lr_sweep`: true, or {rates, steps, warmup}; false and absence are none. What is wrong is noted in `body`.
std::optional<core::LrSweep> read_lr_sweep_request(RequestBody& body);
// `run_overrides`: {"EXPERIMENT/RUN": ["train.lr=1e-4"]}.
std::map<std::string, std::vector<std::string>> read_run_overrides(RequestBody& body);

nlohmann::json to_json(const LrSweepReport& report);

}  // namespace moelab::server::http
