// Owns the auxiliary losses of a micro-batch: which of them apply, and their weighted sum. Called by model/language_model.
// One file a loss (or a family of one formula); a new one adds a line to the table in aux_losses.cpp.
// Shapes: T tokens, D model width, E experts, L MoE layers.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

struct AuxInputs {
  const std::vector<Route>& routes;  // one per MoE layer
  const core::MoeConfig& moe;
  const core::ModelShape& shape;
  std::int64_t sequences = 1;               // B; T = B * L
  std::vector<torch::Tensor> routers = {};  // [E, D] matrices of the layers that have one
};

struct AuxLosses {
  torch::Tensor weighted;                       // scalar with gradient: sum of coefficient * loss; undefined when every coefficient is 0
  std::map<std::string, torch::Tensor> values;  // by name: scalars, detached, unscaled
};

// lb_loss and z_loss are always reported where the router has logits, the others when their coefficient is above 0.
AuxLosses aux_losses(const AuxInputs& inputs);

}  // namespace moelab::worker
