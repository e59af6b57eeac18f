// Owns which parameters train.freeze_experts, freeze_router and freeze_trunk keep as they are. Called by the trainer before
// it builds the optimiser.
#pragma once

#include <torch/torch.h>

#include "core/config.h"

namespace moelab::worker {

// Frozen parameters lose requires_grad: autograd leaves them out, AdamW neither moves nor decays them and holds no moments for
// them, and the gradient norm does not see them. Parameters are told apart by their names (worker/model/language_model.h):
// moe.experts and moe.shared are experts, moe.router is the router, everything else is the trunk.
void freeze(torch::nn::Module& model, const core::TrainConfig& train);

}  // namespace moelab::worker
