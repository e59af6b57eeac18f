// Owns the Switch load-balancing penalty. Called by aux_losses.
#pragma once

#include "worker/balance/aux_losses.h"

namespace moelab::worker {

// L = E * sum_e f_e P_e (Switch Transformer, arXiv 2101.03961, eq. 4) with f the share of the T*K assignments before drops and
// P the mean probability, so that perfect balance gives 1 for every K. Mean over the MoE layers; with moe.lb_pool = all_layers f
// and P are averaged over the layers before the product, as Transformers and moe-lab do (theirs is K times ours).
torch::Tensor load_balance_loss(const AuxInputs& inputs);

}  // namespace moelab::worker
