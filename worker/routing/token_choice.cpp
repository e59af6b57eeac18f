// Owns token choice: every token picks its K best experts. Softmax scores as in Switch, Mixtral and OLMoE; sigmoid scores
// with a selection bias as in DeepSeek-V3 (arXiv 2412.19437, section 2.1.2).
// Shapes: T tokens, D model width, E experts, K choices.
#include "worker/routing/capacity.h"
#include "worker/routing/router.h"
#include "worker/routing/top_k.h"

namespace moelab::worker {
namespace {

constexpr double kSigmoidSumEpsilon = 1e-20;  // DeepSeek-V3's guard: sigmoid scores, unlike softmax's best K, may all vanish

class TokenChoice final : public Router {
 public:
  TokenChoice(const core::RunConfig& config, const core::ModelShape& shape)
      : Router(shape), moe_(config.moe), shape_(shape), low_precision_(config.train.precision == core::Precision::bf16) {}

  Route route(const torch::Tensor& x_TD, const RouterContext& context) override {
    Route route;
    route.logit_TE = logits(x_TD);
    route.score_TE = shape_.sigmoid_scores ? route.logit_TE.sigmoid() : route.logit_TE.softmax(1);
    auto selection_TE = route.score_TE.detach();
    if (bias_E.defined()) selection_TE = selection_TE + bias_E;
    route.expert_TK = select_top_k(selection_TE, shape_.active);
    route.count_KE = count_assignments(route.expert_TK, shape_.experts);
    route.weight_TK = combine_weights(route.score_TE.gather(1, route.expert_TK), context.training);
    const double factor = context.generating ? 0 : context.training ? moe_.capacity_factor : moe_.eval_capacity_factor;
    if (factor > 0) {
      const auto capacity = expert_capacity(factor, x_TD.size(0), shape_.active, shape_.experts, moe_.min_capacity);
      route.keep_TK = keep_within_capacity(route.expert_TK, selection_TE, capacity, moe_.drop_policy);
    }
    return route;
  }

 private:
  // fp32 [T, E]; a double model (gradient checks) stays double.
  torch::Tensor logits(const torch::Tensor& x_TD) const {
    const auto master = weight_ED.scalar_type();
    if (moe_.router_dtype == core::RouterDtype::autocast && low_precision_) {
      return torch::linear(x_TD.to(torch::kBFloat16), weight_ED.to(torch::kBFloat16)).to(master);
    }
    return torch::linear(x_TD.to(master), weight_ED);
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

  const core::MoeConfig moe_;
  const core::ModelShape shape_;
  const bool low_precision_;
};

}  // namespace

std::shared_ptr<Router> make_token_choice(const core::RunConfig& config, const core::ModelShape& shape) {
  return std::make_shared<TokenChoice>(config, shape);
}

}  // namespace moelab::worker
