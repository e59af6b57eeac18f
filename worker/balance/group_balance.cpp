// Shapes: T tokens, E experts, G groups, K choices.
#include "worker/balance/group_balance.h"

#include "worker/balance/expert_share.h"

namespace moelab::worker {
namespace {

torch::Tensor group_probability_G(const Route& route, const core::ModelShape& shape) {
  return probability_TE(route, shape).mean(0).view({shape.groups, -1}).sum(1);
}

}  // namespace

torch::Tensor device_balance_loss(const AuxInputs& inputs) {
  const auto& shape = inputs.shape;
  std::vector<torch::Tensor> layer_losses;
  for (const auto& route : inputs.routes) {
    const auto load_G = (load_share_E(route) * static_cast<double>(shape.experts)).view({shape.groups, -1}).mean(1);
    layer_losses.push_back((load_G * group_probability_G(route, shape)).sum());
  }
  return torch::stack(layer_losses).mean();
}

torch::Tensor communication_balance_loss(const AuxInputs& inputs) {
  const auto& shape = inputs.shape;
  const double even = static_cast<double>(inputs.moe.topk_group) / static_cast<double>(shape.groups);
  std::vector<torch::Tensor> layer_losses;
  for (const auto& route : inputs.routes) {
    const auto probability_G = group_probability_G(route, shape);
    const auto group_TK = route.expert_TK.div(shape.experts / shape.groups, "floor");
    const auto sent_TG =
        torch::zeros({group_TK.size(0), shape.groups}, probability_G.options().requires_grad(false)).scatter_(1, group_TK, 1.0);
    layer_losses.push_back((sent_TG.mean(0) / even * probability_G).sum());
  }
  return torch::stack(layer_losses).mean();
}

}  // namespace moelab::worker
