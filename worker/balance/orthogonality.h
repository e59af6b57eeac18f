// Owns the orthogonality loss of SimBal. Called by aux_losses.
#pragma once

#include "worker/balance/aux_losses.h"

namespace moelab::worker {

// || W W^T - I ||_1, the sum of the absolute entries, of each router matrix W [E, D], mean over MoE layers (arXiv 2506.14038).
// A function of the weights alone, so every micro-batch of a step adds the same; their mean counts it once.
torch::Tensor orthogonality_loss(const AuxInputs& inputs);

}  // namespace moelab::worker
