#include "worker/balance/orthogonality.h"

namespace moelab::worker {

torch::Tensor orthogonality_loss(const AuxInputs& inputs) {
  std::vector<torch::Tensor> layer_losses;
  for (const auto& weight_ED : inputs.routers) {
    const auto gram_EE = torch::mm(weight_ED, weight_ED.t());
    layer_losses.push_back((gram_EE - torch::eye(gram_EE.size(0), gram_EE.options().requires_grad(false))).abs().sum());
  }
  return torch::stack(layer_losses).mean();
}

}  // namespace moelab::worker
