// Owns how a row of `runs` is read: the column list and its meaning. For db/*.cpp only.
#pragma once

#include "db/run_store.h"
#include "db/statement.h"

namespace moelab::db {

// Columns of runs under the alias r, in the order read_run expects; spec is left out, it is large.
inline constexpr const char* kRunColumns =
    "r.id, r.key, r.matrix, r.name, r.seed, r.total_parameters, r.active_parameters, r.flops_per_token, r.tokens, r.priority, r.gpus, "
    "r.timeout_s, "
    "r.max_restarts, r.waits_for, r.state, "
    "r.reason, r.exit_code, r.signal, r.attempt, r.restarts, r.fresh, r.not_before_ms, r.step, r.max_steps, r.phase, r.phase_done, "
    "r.phase_total, r.pace_step, r.pace_ms, r.step_ms, r.device, r.pid, r.process_start, r.boot_id, r.stop_intent, r.stop_deadline_ms, "
    "r.queued_ms, r.started_ms, r.attempt_ms, r.finished_ms, r.runtime_ms, r.memory_gb, r.share_gpu, r.hang_timeout_s, r.halve_on_oom, "
    "r.launcher, r.lease_shared, r.forced_device, r.gone_ms, r.stop_reason, r.micro_batch_divisor, r.memory_key, r.archived, r.on_gpu, r.forgiven_ms";
inline constexpr int kRunColumnCount = 55;

RunRow read_run(const Statement& row);

}  // namespace moelab::db
