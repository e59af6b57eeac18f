// Shapes: T tokens, E experts, K choices.
#include "worker/balance/cv_loss.h"

namespace moelab::worker {
namespace {

torch::Tensor squared_cv(const torch::Tensor& x_E) {
  return x_E.var(/*dim=*/torch::IntArrayRef{0}, /*correction=*/torch::Scalar(0)) / x_E.mean().square().clamp_min(1e-10);
}

}  // namespace

torch::Tensor cv_importance_loss(const AuxInputs& inputs) {
  std::vector<torch::Tensor> layer_losses;
  for (const auto& route : inputs.routes) {
    const auto importance_E = torch::zeros({inputs.shape.experts}, route.weight_TK.options().requires_grad(false))
                                  .index_add(0, route.expert_TK.flatten(), route.weight_TK.flatten());
    layer_losses.push_back(squared_cv(importance_E));
  }
  return torch::stack(layer_losses).mean();
}

torch::Tensor cv_load_loss(const AuxInputs& inputs) {
  const auto K = inputs.shape.active;
  std::vector<torch::Tensor> layer_losses;
  for (const auto& route : inputs.routes) {
    if (!route.noise_std_TE.defined()) {
      layer_losses.push_back(torch::zeros({}, route.logit_TE.options().requires_grad(false)));
      continue;
    }
    const auto& noisy_TE = route.noisy_TE;
    const auto best = std::get<0>(noisy_TE.topk(K + 1, 1));
    const auto last_in_T1 = best.narrow(1, K - 1, 1), first_out_T1 = best.narrow(1, K, 1);
    const auto threshold_TE = torch::where(noisy_TE > first_out_T1, first_out_T1, last_in_T1);
    const auto chance_TE = torch::special::ndtr((route.logit_TE - threshold_TE) / route.noise_std_TE);
    layer_losses.push_back(squared_cv(chance_TE.sum(0)));
  }
  return torch::stack(layer_losses).mean();
}

}  // namespace moelab::worker
