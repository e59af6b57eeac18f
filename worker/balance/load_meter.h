// Owns the expert-load measurements of one optimiser step (or one evaluation): counts, drops, router statistics.
// Called by the trainer with the routes of every micro-batch; nothing here has a gradient.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

class LoadMeter {
 public:
  explicit LoadMeter(const core::ModelShape& shape);
  void add(const std::vector<Route>& routes);
  void reset();
  bool empty() const;

  // int64 [MoE layers, K, E], assignments before drops.
  torch::Tensor counts_LKE() const;
  // Scalars under their published names without a train/ or eval/ prefix decision: see core/metric_catalog.h
  // (train/moe/load/e%03d, router/layer_{l}_{maxvio,cv,dead,...}, train/token_drop_ratio, ...).
  std::map<std::string, double> metrics() const;

  // Everything a resumed run needs to go on identically (the window of "dead" experts).
  std::map<std::string, torch::Tensor> state() const;
  void restore(const std::map<std::string, torch::Tensor>& state);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace moelab::worker
