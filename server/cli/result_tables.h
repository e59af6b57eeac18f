// Owns the result table of experiments: values, deltas against the baseline, cost. Printed by results, run and the demo.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "server/cli/client.h"
#include "server/cli/table.h"

namespace moelab::server::cli {

// `table` is a ResultTable of the REST contract. With `precise` numbers are in full precision, for CSV.
Table result_table(const nlohmann::json& table, bool precise);

// One titled table for each of `experiments` (Experiment objects), with the reasons of runs that did not complete.
std::string results_text(const Client& client, const nlohmann::json& experiments, const Terminal& terminal);

}  // namespace moelab::server::cli
