#include "worker/balance/policy_gradient.h"

namespace moelab::worker {

PolicyLoss policy_gradient_loss(const std::vector<Route>& routes, const torch::Tensor& nll_T, const torch::Tensor& has_target_T,
                                std::optional<double> baseline, const core::MoeConfig& moe) {
  constexpr double kLeastDeviation = 1e-3;
  const auto token_N = has_target_T.nonzero().flatten();
  const auto reward_N = -nll_T.index_select(0, token_N).detach();
  const auto mean = reward_N.mean();
  const auto deviation = reward_N.std(/*unbiased=*/false).clamp_min(kLeastDeviation);
  const auto advantage_N = (baseline ? reward_N - *baseline : reward_N - mean) / deviation;

  torch::Tensor log_policy_N, entropy;
  for (const auto& route : routes) {
    const auto log_p_NE = route.logit_TE.index_select(0, token_N).log_softmax(1);
    const auto chosen_N = log_p_NE.gather(1, route.expert_TK.index_select(0, token_N)).squeeze(1);
    const auto layer_entropy = -(log_p_NE.exp() * log_p_NE).sum(1).mean();
    log_policy_N = log_policy_N.defined() ? log_policy_N + chosen_N : chosen_N;
    entropy = entropy.defined() ? entropy + layer_entropy : layer_entropy;
  }
  const auto policy = -(advantage_N.to(log_policy_N.scalar_type()) * log_policy_N).mean();
  return {.weighted = moe.rl_coeff * policy - moe.ent_coeff * entropy / static_cast<double>(routes.size()),
          .policy = policy.detach(),
          .mean_reward = mean};
}

}  // namespace moelab::worker
