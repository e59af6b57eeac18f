// Owns loss-free balancing: counts of training assignments since the last update, and the step of the expert biases.
// Called by the trainer: add() after each training micro-batch, step() after each optimiser step. Evaluation never feeds it.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "core/config.h"
#include "worker/routing/route.h"

namespace moelab::worker {

class BiasController {
 public:
  // bias_LE: the routers' bias buffers, one [E] tensor per MoE layer; updated in place.
  BiasController(const core::MoeConfig& moe, std::vector<torch::Tensor> bias_LE);
  void add(const std::vector<Route>& routes);
  // Every lb_bias_interval-th call moves the biases and clears the counts.
  void step();
  double bias_abs_sum() const;  // sum over layers and experts of |b|

  // State of an unfinished interval, for checkpoints: int64 [L, E] counts and the calls since the last update.
  torch::Tensor counts_LE() const { return counts_LE_; }
  std::int64_t calls() const { return calls_; }
  void restore(const torch::Tensor& counts_LE, std::int64_t calls);

 private:
  core::MoeConfig moe_;
  std::vector<torch::Tensor> bias_LE_;
  torch::Tensor counts_LE_;
  std::int64_t calls_ = 0;
};

}  // namespace moelab::worker
