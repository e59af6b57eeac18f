// Shapes: T tokens, E experts, L MoE layers.
#include "worker/balance/load_balance.h"

#include "worker/balance/expert_share.h"

namespace moelab::worker {

torch::Tensor load_balance_loss(const AuxInputs& inputs) {
  std::vector<torch::Tensor> share, probability;
  for (const auto& route : inputs.routes) {
    share.push_back(load_share_E(route));
    probability.push_back(probability_TE(route, inputs.shape).mean(0));
  }
  auto share_LE = torch::stack(share), probability_LE = torch::stack(probability);
  if (inputs.moe.lb_pool == core::LbPool::all_layers) {
    // Every layer sees the same tokens, so the mean over layers is the mean over the pooled tokens.
    share_LE = share_LE.mean(0, /*keepdim=*/true);
    probability_LE = probability_LE.mean(0, /*keepdim=*/true);
  }
  return (share_LE * probability_LE).sum(1).mean() * static_cast<double>(inputs.shape.experts);
}

}  // namespace moelab::worker
