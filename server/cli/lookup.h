// Owns turning what a person typed into runs and experiments. Used by every command that takes RUN or EXPERIMENT.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/cli/client.h"

namespace moelab::server::cli {

// All pages of GET /runs with `filter` ("state=running&tag=x", may be empty); at most `limit` runs, 0 = all.
std::vector<nlohmann::json> list_runs(const Client& client, const std::string& filter, std::size_t limit = 0);

// A run by id, by its name in any experiment, or as EXPERIMENT/NAME. Throws Error(not_found) with the nearest name, or
// Error(conflict) listing the candidates when several runs have the name.
nlohmann::json find_run(const Client& client, const std::string& text);

// An experiment by id or name; the same errors.
nlohmann::json find_experiment(const Client& client, const std::string& text);

// "/api/v1/runs/12"
std::string run_path(const nlohmann::json& run);

}  // namespace moelab::server::cli
