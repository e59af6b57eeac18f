// Owns a learning-rate sweep in the database: reading its runs for the report, and keeping its listing to rates that may be compared.
// Called by run_service and submission.
#pragma once

#include <cstdint>
#include <vector>

#include "core/plan.h"
#include "db/database.h"
#include "server/analysis/lr_sweep.h"

namespace moelab::server {

// The report of the sweep `experiment`, or of the experiment that was swept. Throws Error(not_found) when there is no sweep.
LrSweepReport read_lr_sweep(db::Connection& connection, std::int64_t experiment);

// Takes rates out of the listing of the sweep `experiment` that an earlier sweep tried with other settings of the same variant than the
// runs of `plan` have: a loss after other steps, or of another model, is none to compare with. The runs themselves stay. Returns them.
// Does nothing for an experiment that is no sweep.
std::vector<std::int64_t> drop_stale_rates(db::Connection& connection, std::int64_t experiment, const core::Plan& plan);

}  // namespace moelab::server
