// Shapes: T tokens, E experts, K choices, L MoE layers.
#include "worker/balance/aux_losses.h"

namespace moelab::worker {
namespace {

// f_E: share of the assignments each expert got, before capacity drops; a count, so without gradient.
torch::Tensor load_share_E(const Route& route) {
  const auto tokens_times_slots = static_cast<double>(route.expert_TK.numel());
  return route.count_KE.sum(0).to(route.score_TE.scalar_type()) / tokens_times_slots;
}

// P_E: mean probability of each expert over all tokens; sigmoid scores are first normalised to sum to 1.
torch::Tensor mean_probability_E(const Route& route, bool sigmoid_scores) {
  if (!sigmoid_scores) return route.score_TE.mean(0);
  return (route.score_TE / route.score_TE.sum(1, /*keepdim=*/true)).mean(0);
}

// Switch Transformer (arXiv 2101.03961, eq. 4) with f over T*K assignments, so that perfect balance gives 1 for every K.
torch::Tensor load_balance_loss(const std::vector<Route>& routes, core::LbPool pool, const core::ModelShape& shape) {
  std::vector<torch::Tensor> share, probability;
  for (const auto& route : routes) {
    share.push_back(load_share_E(route));
    probability.push_back(mean_probability_E(route, shape.sigmoid_scores));
  }
  auto share_LE = torch::stack(share), probability_LE = torch::stack(probability);
  if (pool == core::LbPool::all_layers) {
    // Every layer sees the same tokens, so the mean over layers is the mean over the pooled tokens.
    share_LE = share_LE.mean(0, /*keepdim=*/true);
    probability_LE = probability_LE.mean(0, /*keepdim=*/true);
  }
  return (share_LE * probability_LE).sum(1).mean() * static_cast<double>(shape.experts);
}

// ST-MoE (arXiv 2202.08906, eq. 5): mean over tokens of logsumexp(logits)^2, mean over layers.
torch::Tensor router_z_loss(const std::vector<Route>& routes) {
  std::vector<torch::Tensor> layer_losses;
  for (const auto& route : routes) layer_losses.push_back(route.logit_TE.logsumexp(1).square().mean());
  return torch::stack(layer_losses).mean();
}

}  // namespace

AuxLosses aux_losses(const std::vector<Route>& routes, const core::MoeConfig& moe, const core::ModelShape& shape) {
  AuxLosses losses;
  if (routes.empty()) return losses;
  const auto add = [&](double coefficient, auto&& compute) {
    torch::AutoGradMode grad(torch::GradMode::is_enabled() && coefficient > 0);  // a loss that is only reported needs no graph
    const torch::Tensor loss = compute();
    if (coefficient > 0) losses.weighted = losses.weighted.defined() ? losses.weighted + coefficient * loss : coefficient * loss;
    return loss.detach();
  };
  losses.lb_loss = add(moe.lb_coeff, [&] { return load_balance_loss(routes, moe.lb_pool, shape); });
  losses.z_loss = add(moe.z_loss_coeff, [&] { return router_z_loss(routes); });
  return losses;
}

}  // namespace moelab::worker
