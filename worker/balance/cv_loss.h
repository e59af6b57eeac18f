// Owns the coefficient-of-variation losses of the first sparsely gated MoE. Called by aux_losses.
#pragma once

#include "worker/balance/aux_losses.h"

namespace moelab::worker {

// CV(x)^2 = variance over experts / mean^2 (population variance), mean over MoE layers (Shazeer et al., arXiv 1701.06538,
// section 4 and appendix A); 0 at balance.
//   importance  x_e = sum over tokens of the combine weight, before drops
//   load        x_e = sum over tokens of the probability that e is among the K best when only its own noise is drawn anew:
//               Phi((z_e - threshold_e) / std_e), threshold_e = the K-th best of the other experts' noisy logits.
//               Needs moe.router_noise = learned and K < E; without noise (evaluation) it is 0.
torch::Tensor cv_importance_loss(const AuxInputs& inputs);
torch::Tensor cv_load_loss(const AuxInputs& inputs);

}  // namespace moelab::worker
