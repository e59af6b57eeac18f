// Owns the auxiliary losses of a micro-batch, computed from the routes of its MoE layers. Called by model/language_model.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "core/config.h"
#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

struct AuxLosses {
  torch::Tensor weighted;  // scalar with gradient: sum of coefficient * loss; undefined when every coefficient is 0
  torch::Tensor lb_loss;   // scalar, detached, unscaled Switch load-balance loss (1 at balance); undefined without MoE layers
  torch::Tensor z_loss;    // scalar, detached, unscaled
};

AuxLosses aux_losses(const std::vector<Route>& routes, const core::MoeConfig& moe, const core::ModelShape& shape);

}  // namespace moelab::worker
