// Owns the two quantities most balance losses compare: the load of the experts and their probabilities. Called by the losses.
// Shapes: T tokens, E experts.
#pragma once

#include <torch/torch.h>

#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

// f_E: share of all assignments that each expert got, before capacity drops; sums to 1. A count, so without gradient.
torch::Tensor load_share_E(const Route& route);

// Probabilities [T, E] that sum to 1 for each token: softmax scores themselves, sigmoid scores divided by their sum.
torch::Tensor probability_TE(const Route& route, const core::ModelShape& shape);

}  // namespace moelab::worker
