// Owns the health alerts of a run: conditions worth a look, found in the metrics of its logged steps. Called by the trainer. Alerts
// never stop a run unless early_stop.alerts asks for it. Thresholds are those of a public MoE trainer, stated for any E.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/config.h"

namespace moelab::worker {

struct HealthAlert {
  std::string code, message;
};

class HealthWatch {
 public:
  static constexpr std::int64_t kWindow = 100;      // logged steps
  static constexpr std::int64_t kZLossSteps = 500;  // optimiser steps

  // layers: numbers of the MoE layers; empty for a dense model, which has only the alert about its loss.
  HealthWatch(const core::MoeConfig& moe, std::vector<std::int64_t> layers);

  // values: the metrics of a logged step. counts_LE: its int64 assignments by MoE layer and expert on the host, undefined for a dense
  // model. What it returns, each code at most once in kWindow logged steps, and while it lasts, half as often each time:
  //   expert_underused, expert_overused  an expert's share of the last kWindow logged steps below 0.4 / E or above 2.4 / E
  //                                      (no share exceeds 1 / K, so few experts can only be underused)
  //   load_imbalanced                    standard deviation / mean of a layer's load over kWindow logged steps above 0.5
  //   z_loss_large                       train/z_loss times its coefficient above 0.01
  //   z_loss_doubled                     train/z_loss twice its least value of the last kZLossSteps steps
  //   loss_spike                         train/loss more than 3 standard deviations above the mean of the kWindow before
  std::vector<HealthAlert> observe(std::int64_t step, const std::map<std::string, double>& values, const torch::Tensor& counts_LE);

  // What a resumed run needs to give the same alerts.
  std::map<std::string, torch::Tensor> state() const;
  void restore(const std::map<std::string, torch::Tensor>& state);

 private:
  void watch_load(const torch::Tensor& counts_LE, std::vector<HealthAlert>& alerts);
  void watch_z_loss(std::int64_t step, double z_loss, std::vector<HealthAlert>& alerts);
  void watch_loss(double loss, std::vector<HealthAlert>& alerts);

  core::MoeConfig moe_;
  std::vector<std::int64_t> layers_;
  std::int64_t observed_ = 0;
  struct Quiet {
    std::int64_t until = 0, length = 0;  // in observed steps
  };
  std::map<std::string, Quiet> quiet_;  // by code
  torch::Tensor counts_LE_;                          // of the current window
  std::int64_t counted_ = 0;
  std::deque<double> losses_;
  std::deque<std::pair<double, double>> z_losses_;  // step and value
};

}  // namespace moelab::worker
