// Owns the router z-loss. Called by aux_losses.
#pragma once

#include "worker/balance/aux_losses.h"

namespace moelab::worker {

// Mean over tokens of logsumexp(z)^2, mean over MoE layers (ST-MoE, arXiv 2202.08906, eq. 5), z = logits before any noise.
torch::Tensor router_z_loss(const AuxInputs& inputs);

}  // namespace moelab::worker
