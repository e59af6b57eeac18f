// Owns the report of a learning-rate sweep: what each rate came to for each variant, and which to take. Pure. Called by run_service.
//
// As in moe-lab, the rate with the least training loss at the last step is suggested; a rate whose loss became NaN or infinite is marked
// and left out. All rates see the same batches in the same order, so one step compares them fairly; still the mean of the last
// kSmoothedSteps steps, which a single odd batch cannot turn, stands beside it, and a variant where the two disagree says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/run_state.h"

namespace moelab::server {

inline constexpr std::size_t kSmoothedSteps = 10;

// One run of a sweep, as the database knows it.
struct SweptRate {
  std::string variant;
  double rate = 0;
  std::int64_t run_id = 0;
  core::RunState state = core::RunState::queued;
  std::string reason;                                 // of the state; may be empty
  std::int64_t steps = 0, warmup = 0;                 // as asked for
  std::vector<std::pair<std::int64_t, double>> loss;  // train/loss by ascending step
  std::optional<double> grad_norm;                    // train/grad_norm at the last step
};

struct LrSweepRow {
  double rate = 0;
  std::int64_t run_id = 0;
  core::RunState state = core::RunState::queued;
  std::int64_t step = 0;                    // of the last loss
  std::optional<double> last_loss;          // nothing: no step yet; may be NaN or infinite
  std::optional<double> smoothed_loss;      // mean of the last kSmoothedSteps losses, or of as many as there are
  std::optional<double> last_grad_norm;
  bool diverged = false;
  std::string note;  // why the row does not count: "diverged", "failed: ...", "running"; empty when it does
};

struct LrSweepVariant {
  std::string name;                // EXPERIMENT's family of runs
  std::vector<LrSweepRow> rows;    // those that count by last loss, then the others by rate
  std::optional<double> best;      // suggested rate; nothing while a rate is still to come, or when none counts
  bool complete = false;           // every rate has ended
  std::vector<std::string> warnings;
  std::string refusal;             // why there is no suggestion; empty when there is one
};

struct LrSweepReport {
  std::string experiment;             // the one that was swept
  std::int64_t experiment_id = 0;     // of the sweep
  std::int64_t steps = 0, warmup = 0;
  std::vector<LrSweepVariant> variants;  // in the order of the sweep
};

// `rates` in the order of the sweep's experiment. `steps` and `warmup` are those of the first.
LrSweepReport report_lr_sweep(const std::vector<SweptRate>& rates);

}  // namespace moelab::server
