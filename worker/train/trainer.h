// Owns the training loop: which step comes next, what it computes, what is recorded and when. Called by train_run with
// everything built; knows nothing of files but the journal and the checkpoints. One thread; stops between micro-batches.
// A checkpoint that finds no room on the disk is left out with an alert and training goes on, but for the last one.
#pragma once

#include <torch/torch.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/config.h"
#include "worker/balance/bias_controller.h"
#include "worker/balance/collapse_watch.h"
#include "worker/balance/load_meter.h"
#include "worker/balance/reward_baseline.h"
#include "worker/data/batcher.h"
#include "worker/model/language_model.h"
#include "worker/optim/adamw.h"
#include "worker/optim/lr_schedule.h"
#include "worker/train/checkpoint.h"
#include "worker/train/domain_losses.h"
#include "worker/train/event_sink.h"
#include "worker/train/health_watch.h"
#include "worker/train/routing_shares.h"

namespace moelab::worker {

// Optimiser steps of a run: train.max_steps, else train.epochs * blocks / batch_size rounded down, at least 1.
std::int64_t planned_steps(const core::TrainConfig& train, std::int64_t blocks);

struct TrainerParts {
  const core::RunConfig& config;
  LanguageModel& model;  // on its device
  Blocks train, val;
  EventSink& events;
  CheckpointStore& checkpoints;
  std::string tokenizer;  // bytes for the checkpoints; may be empty
  std::function<bool()> stop_requested;
  // Called after the evaluation of the last step and before its checkpoint, so that no resumed run misses it; may be empty.
  std::function<void(std::int64_t step, const RoutingShares& domains)> last_evaluation = {};
  std::int64_t micro_batch_divisor = 1;       // core/micro_batch.h
  std::function<void()> work_done = {};       // called after every micro-batch, in training and in evaluation; may be empty
};

enum class TrainingEnd { completed, pruned, preempted, diverged };

class Trainer {
 public:
  // A run whose loss or gradient norm is not finite in this many consecutive steps, or at its end, has diverged for good: the
  // moments hold NaN, and going on would only heat the room.
  static constexpr std::int64_t kNonFiniteSteps = 3;

  explicit Trainer(TrainerParts parts);

  // Continues from a checkpoint of this run, bit for bit. The weights are loaded too.
  void resume(const Checkpoint& checkpoint);
  // The checkpoint was written on the CPU and this is a GPU, or the other way round: then not bit for bit.
  bool device_kind_changed() const { return device_kind_changed_; }
  // Trains to the last step, or until stop_requested. preempted: what was done is in a checkpoint.
  // Throws Error(storage) when the checkpoint it ends with cannot be written; the older ones are untouched.
  TrainingEnd run();

  std::int64_t step() const { return step_; }
  std::int64_t max_steps() const { return max_steps_; }
  std::int64_t tokens_per_step() const;
  // Why an early_stop rule ended the run ("collapse", "alert") and the sentence about it; empty unless it was pruned.
  const std::string& pruned_by() const { return pruned_by_; }
  const std::string& pruned_because() const { return pruned_because_; }
  // Newest metrics and evaluation, for the final report.
  std::map<std::string, double> last_values() const;

 private:
  struct StepResult {
    double loss = 0, lr = 0, grad_norm = 0;
    std::map<std::string, double> aux;  // auxiliary losses by name, unscaled: mean over the micro-batches
  };
  void watch_for_collapse(const torch::Tensor& counts_LE);
  void watch_health(const std::map<std::string, double>& values);
  void prune(const std::string& rule, const std::string& message);
  bool train_step();  // false: stopped on the way, and undone
  void record_step(const StepResult& result);
  void record_expert_load();
  std::map<std::string, double> step_metrics(const StepResult& result) const;
  void add_expert_metrics(std::map<std::string, double>& values) const;
  void watch_for_divergence(const StepResult& result);
  bool evaluate_if_due();  // false: stopped on the way
  // Between two pieces of work: the one before is done, and nobody may want the next.
  bool asked_to_stop() const;
  void save(bool must);
  void leave_out_checkpoint(const char* code, const std::string& message);
  TrainingState state() const;
  bool every(std::int64_t interval) const { return step_ % interval == 0 || step_ == max_steps_ || !pruned_by_.empty(); }
  bool logs_now(std::int64_t step) const;
  bool records_load_now(std::int64_t step) const;

  TrainerParts parts_;
  const core::TrainConfig& train_;
  torch::Device device_;
  std::int64_t max_steps_;
  std::int64_t micro_batches_;  // of an optimiser step
  AdamW optimizer_;
  LrSchedule schedule_;
  BiasController bias_controller_;
  RewardBaseline reward_baseline_;
  CollapseWatch collapse_;
  HealthWatch health_;
  LoadMeter meter_;             // of logged steps; remembers which experts are dead
  DomainLosses domain_losses_;  // of the step, if it is logged
  LoadMeter step_meter_;        // of one step, for expert-load records and the collapse rule
  Batcher batcher_, validation_;
  std::vector<std::int64_t> moe_layers_;                         // numbers of the MoE layers
  std::vector<std::pair<std::int64_t, torch::Tensor>> routers_;  // layer number and matrix, where there is one

  std::int64_t step_ = 0;
  std::string left_out_because_;  // code of the alert on the checkpoints left out since the last one; empty: none
  std::int64_t saved_step_ = 0;  // newest checkpoint, and whether it came after that step's evaluation
  bool saved_evaluated_ = false;
  bool device_kind_changed_ = false;
  std::int64_t evaluated_step_ = 0;
  std::int64_t non_finite_steps_ = 0;
  std::string pruned_by_, pruned_because_;
  double seconds_since_log_ = 0;
  std::int64_t steps_since_log_ = 0;
  std::chrono::steady_clock::time_point last_line_;  // of worker.log, which gets at most one a second
  std::map<std::string, double> metrics_, eval_;
};

}  // namespace moelab::worker
