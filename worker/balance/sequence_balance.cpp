// Shapes: B sequences, L positions, E experts, K choices.
#include "worker/balance/sequence_balance.h"

#include "worker/balance/expert_share.h"

namespace moelab::worker {

torch::Tensor sequence_balance_loss(const AuxInputs& inputs) {
  const auto E = inputs.shape.experts, K = inputs.shape.active;
  std::vector<torch::Tensor> layer_losses;
  for (const auto& route : inputs.routes) {
    const auto p_BLE = probability_TE(route, inputs.shape).view({inputs.sequences, -1, E});
    const auto best_TK = std::get<1>(route.score_TE.detach().topk(K, 1));
    const auto chosen_TE = torch::zeros_like(route.score_TE.detach()).scatter_(1, best_TK, 1.0);
    const auto share_BE = chosen_TE.view_as(p_BLE).mean(1) * (static_cast<double>(E) / static_cast<double>(K));
    layer_losses.push_back((share_BE * p_BLE.mean(1)).sum(1).mean());
  }
  return torch::stack(layer_losses).mean();
}

}  // namespace moelab::worker
