// Owns a learning-rate sweep as people read it: table, chart, and the lines that keep the suggested rates in the file. Works on answers of
// GET /experiments/{id}/lr-sweep. Used by the sweep command.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/cli/table.h"

namespace moelab::server::cli {

// One row a rate, those of one variant together. With `precise` numbers for programs.
Table lr_sweep_table(const std::vector<nlohmann::json>& reports, bool precise);

// The last loss over the logarithm of the rate, for one variant: "o" a rate, "@" the suggested one, "x" on the upper edge one that
// diverged. Empty when fewer than two rates count.
std::string lr_chart(const nlohmann::json& variant);

// "experiment/variant: 0.001", or why there is none, then the warnings; one variant after the other.
std::string lr_suggestions(const std::vector<nlohmann::json>& reports);

// YAML that sets the suggested rates: `defaults` for an experiment of one run, `variants` otherwise; a comment for what is neither.
std::string lr_yaml(const std::vector<nlohmann::json>& reports);

}  // namespace moelab::server::cli
