// Owns token choice: every token picks its K best experts. Softmax scores as in Switch, Mixtral and OLMoE; sigmoid scores
// with a selection bias as in DeepSeek-V3 (arXiv 2412.19437, section 2.1.2); choice within the best groups (DeepSeek-V2, V3);
// noise in training (Shazeer et al., arXiv 1701.06538, eq. 4; Switch; moe-emergence).
// Shapes: T tokens, D model width, E experts, K choices.
#include "worker/routing/group_limit.h"
#include "worker/routing/router.h"
#include "worker/routing/router_noise.h"
#include "worker/routing/top_k.h"

namespace moelab::worker {
namespace {

constexpr double kSigmoidSumEpsilon = 1e-20;  // DeepSeek-V3's guard: sigmoid scores, unlike softmax's best K, may all vanish

class TokenChoice final : public Router {
 public:
  explicit TokenChoice(const RouterParts& parts) : Router(parts) {
    if (shape_.router_noise_matrix) {
      noise_ED_ = register_parameter("noise", torch::zeros({shape_.experts, shape_.hidden}));
    }
  }

  Route route(const torch::Tensor& x_TD, const RouterContext& context) override {
    Route route;
    route.logit_TE = logits(x_TD, weight_ED);
    const auto noisy_TE = context.training ? noisy(x_TD, context.position, route) : route.logit_TE;
    if (!noisy_TE.is_same(route.logit_TE)) route.noisy_TE = noisy_TE;
    route.score_TE = shape_.sigmoid_scores ? noisy_TE.sigmoid() : noisy_TE.softmax(1);
    route.clean_softmax = !shape_.sigmoid_scores && !route.noisy_TE.defined();
    const bool bias_on_logits = moe_.lb_bias_target == core::BiasTarget::logit;
    auto selection_TE = (bias_on_logits ? noisy_TE : route.score_TE).detach();
    if (bias_E.defined()) selection_TE = selection_TE + bias_E;
    const auto allowed_TE = limit_to_groups(selection_TE, {shape_.groups, moe_.topk_group, moe_.group_score});
    route.expert_TK = select_top_k(allowed_TE, shape_.active);
    route.count_KE = count_assignments(route.expert_TK, shape_.experts);
    route.weight_TK = combine_weights(route.score_TE.gather(1, route.expert_TK), context.training);
    limit_to_capacity(route, selection_TE, context);
    return route;
  }

 private:
  // The logits the choice is made on in training. Clean ones stay for the z-loss and the metrics.
  torch::Tensor noisy(const torch::Tensor& x_TD, const StepPosition& position, Route& route) const {
    const auto& clean_TE = route.logit_TE;
    switch (moe_.router_noise) {
      case core::RouterNoise::none:
        return clean_TE;
      case core::RouterNoise::annealed: {
        const double std = annealed_std(moe_, position);
        return std > 0 ? clean_TE + std * normal_noise(clean_TE, generator(position)) : clean_TE;
      }
      case core::RouterNoise::learned:
        route.noise_std_TE = torch::softplus(logits(x_TD, noise_ED_));
        return clean_TE + normal_noise(clean_TE, generator(position)) * route.noise_std_TE;
      case core::RouterNoise::jitter:
        return logits(jittered(x_TD, moe_.jitter_eps, generator(position)), weight_ED);
    }
    return clean_TE;
  }

  torch::Tensor combine_weights(const torch::Tensor& score_TK, bool training) const {
    auto weight_TK = score_TK;
    if (shape_.active == 1 && moe_.top1_gate != core::Top1Gate::prob) {
      weight_TK = torch::ones_like(score_TK);
      // Straight-through: the value stays 1, the gradient is the score's.
      if (moe_.top1_gate == core::Top1Gate::ste && training) weight_TK = weight_TK + (score_TK - score_TK.detach());
    } else if (shape_.normalize_topk) {
      const auto sum_T1 = score_TK.sum(1, /*keepdim=*/true);
      weight_TK = score_TK / (shape_.sigmoid_scores ? sum_T1 + kSigmoidSumEpsilon : sum_T1);
    }
    return moe_.routed_scaling_factor == 1 ? weight_TK : weight_TK * moe_.routed_scaling_factor;
  }

  torch::Tensor noise_ED_;  // learned noise only
};

}  // namespace

std::shared_ptr<Router> make_token_choice(const RouterParts& parts) {
  return std::make_shared<TokenChoice>(parts);
}

}  // namespace moelab::worker
