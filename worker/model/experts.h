// Owns the weights of the routed experts of one MoE layer. Called by moe_layer.
#pragma once

#include <torch/torch.h>

#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

class Experts : public torch::nn::Module {
 public:
  explicit Experts(const core::ModelShape& shape);

  // x_TD in the compute type; returns [T, D] in the type of the combine weights (fp32), summed over the K choices.
  torch::Tensor forward(const torch::Tensor& x_TD, const Route& route) const;

 private:
  torch::Tensor gate_up_EDX_, down_EfD_;  // [E, D, 2f] gate columns first, [E, f, D]: what the grouped product reads
};

}  // namespace moelab::worker
