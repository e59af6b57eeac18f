// Owns the loss of a sampled routing policy. Called by model/language_model for moe.routing = reinforce.
// Shapes: T tokens, E experts.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/config.h"
#include "worker/routing/route.h"

namespace moelab::worker {

struct PolicyLoss {
  torch::Tensor weighted;     // scalar with gradient: rl_coeff * policy - ent_coeff * entropy
  torch::Tensor policy;       // scalar, detached: -mean_t a_t sum_l log p_l(e_lt)
  torch::Tensor mean_reward;  // fp64 scalar: mean of -nll over the tokens with a target
};

// REINFORCE (Williams 1992) with the reward r_t = -nll_t of the token's own target and the advantage a_t = (r_t - baseline) /
// max(std of r, 1e-3); p_l the softmax of the layer's logits, e_lt the sampled expert. The entropy is the mean over tokens and layers.
// Tokens without a target have no reward and are left out. baseline: of RewardBaseline; empty = the mean of this batch.
PolicyLoss policy_gradient_loss(const std::vector<Route>& routes, const torch::Tensor& nll_T, const torch::Tensor& has_target_T,
                                std::optional<double> baseline, const core::MoeConfig& moe);

}  // namespace moelab::worker
