#include "worker/balance/router_z.h"

namespace moelab::worker {

torch::Tensor router_z_loss(const AuxInputs& inputs) {
  std::vector<torch::Tensor> layer_losses;
  for (const auto& route : inputs.routes) layer_losses.push_back(route.logit_TE.logsumexp(1).square().mean());
  return torch::stack(layer_losses).mean();
}

}  // namespace moelab::worker
