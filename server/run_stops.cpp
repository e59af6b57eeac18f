#include "server/run_stops.h"

#include <string>

#include "server/slurm/slurm_job.h"

namespace moelab::server {
namespace {

// Kills at once: what it computes is of no use, or it has had its chance.
bool wants_no_checkpoint(const db::RunRow& run) {
  return run.stop_intent == db::StopIntent::kill || run.stop_intent == db::StopIntent::hang || run.stop_intent == db::StopIntent::misplaced;
}

}  // namespace

void RunStops::watch(const db::RunRow& run) {
  check_timeout(run);
  check_progress(run);
  check_placement(run);
}

void RunStops::check_timeout(const db::RunRow& run) {
  if (starts_in_slurm(run)) return;
  if (run.resources.timeout_s <= 0 || run.state == core::RunState::stopping || !run.attempt_started_at || run.gone_at) return;
  const auto ran = std::chrono::milliseconds(run.runtime_ms - run.forgiven_ms) + (clock_.now() - *run.attempt_started_at);
  if (ran < std::chrono::seconds(run.resources.timeout_s)) return;
  changes_.change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::timeout, "", clock_.now()); });
}

void RunStops::check_progress(const db::RunRow& run) {
  if (run.resources.hang_timeout_s <= 0 || run.state == core::RunState::stopping || !run.process || run.gone_at) return;
  if (!launcher_.waits(*run.process).empty()) return progress_.forget(run.id);  // it is not its turn
  const auto idle = progress_.idle(run.id, run.attempt, clock_.steady());
  if (idle < std::chrono::seconds(run.resources.hang_timeout_s)) return;
  const std::string reason =
      "the worker made no progress for " + std::to_string(run.resources.hang_timeout_s) + " s (resources.hang_timeout) and was killed";
  changes_.change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::hang, reason, clock_.now()); });
}

// Trusting CUDA_VISIBLE_DEVICES is not enough: a worker on a GPU that is not its own takes it from somebody.
void RunStops::check_placement(const db::RunRow& run) {
  if (run.state == core::RunState::stopping || !run.process || is_slurm_job(*run.process) || run.gone_at) return;
  const Seat seat = devices_.placement(run.device, run.process->pid);
  if (seat.placement != Placement::wrong) return;
  const std::string reason = "the worker was granted " + run.device + " and computed on " + seat.device + "; it was killed";
  changes_.change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::misplaced, reason, clock_.now()); });
}

void RunStops::drain(const db::RunRow& run) {
  if (run.state == core::RunState::stopping) return;
  changes_.change(run.id, [&](db::RunStore& runs) { runs.request_stop(run.id, db::StopIntent::drain, "", clock_.now()); });
}

void RunStops::carry_out(const db::RunRow& run) {
  if (run.state != core::RunState::stopping || !run.process) return;
  if (wants_no_checkpoint(run)) return launcher_.kill(*run.process);
  // A stop that an earlier daemon began is asked for again: whether its signal went out is not known. The grace begins when it has.
  if (!asked_to_leave_.contains(run.id)) {
    if (!launcher_.terminate(*run.process)) return;
    asked_to_leave_.insert(run.id);
  }
  if (!run.stop_deadline) {
    changes_.change(run.id, [&](db::RunStore& runs) { runs.set_stop_deadline(run.id, clock_.now() + grace_); });
  } else if (clock_.now() >= *run.stop_deadline) {
    launcher_.kill(*run.process);
  }
}

void RunStops::forget(db::RunId run) {
  asked_to_leave_.erase(run);
  progress_.forget(run);
}

}  // namespace moelab::server
