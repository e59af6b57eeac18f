// Owns the expert-load measurements of one period (an optimiser step, or one evaluation): counts, drops, router statistics.
// Called by the trainer with the routes of every micro-batch; nothing here has a gradient.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

class LoadMeter {
 public:
  explicit LoadMeter(const core::ModelShape& shape);
  // Does not wait for the device. `routes` holds one route per MoE layer, or nothing for a dense model.
  void add(const std::vector<Route>& routes);
  // Ends the period: its counts enter the window of "dead" experts, then everything starts at zero.
  void reset();
  bool empty() const;

  // int64 [MoE layers, K, E] on the host, assignments before drops.
  torch::Tensor counts_LKE() const;
  // Scalars of the period under their published names, one wait for the device; empty when the period is. `l` below is the
  // index of the transformer block. Formulas over the T tokens of the period, z = clean logits, p = softmax(z), c_e =
  // assignments before drops, f_e = c_e / sum of c; what needs z is left out for routers without logits:
  //   train/moe/load/e%03d                   f_e, mean over layers (sums to 1)
  //   train/token_drop_count, _ratio         dropped assignments of all layers; divided by the assignments of all layers
  //   router/layer_{l}_entropy_per_token     mean over tokens of the entropy of p, nats
  //   router/layer_{l}_entropy_distribution  entropy of the mean of p, nats
  //   router/layer_{l}_util_std              sample standard deviation of f over experts
  //   router/layer_{l}_maxvio                max c / mean c - 1 (Wang et al. 2024, arXiv 2408.15664)
  //   router/layer_{l}_cv                    population standard deviation of c / mean c
  //   router/layer_{l}_dead                  experts without an assignment in the last 100 periods (or in all, if fewer)
  //   router/layer_{l}_logit_rms, logit_max  sqrt(mean z^2), max |z|
  //   router/layer_{l}_zloss                 mean over tokens of logsumexp(z)^2
  //   router/<the same>                      mean over layers; router/entropy_distribution_normalized = that over ln E
  std::map<std::string, double> metrics() const;

  // What a resumed run needs to go on identically: the window of "dead" experts. Taken between periods, after reset().
  std::map<std::string, torch::Tensor> state() const;
  // Throws Error(storage) when `state` was not made by a model of this shape.
  void restore(const std::map<std::string, torch::Tensor>& state);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace moelab::worker
