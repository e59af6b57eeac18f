// Owns routing by a sampled policy (RL-R of Clark et al., arXiv 2202.01169): in training one expert a token is drawn from
// softmax(z), in evaluation the likeliest is taken; w = 1. The router learns from the policy gradient alone
// (balance/policy_gradient.h), experts and trunk from the language-model loss alone. Variance is high, credit through attention
// between tokens is ignored, and a balance loss is still needed.
// Shapes: T tokens, D model width, E experts.
#include "worker/routing/router.h"
#include "worker/routing/top_k.h"

namespace moelab::worker {
namespace {

class Reinforce final : public Router {
 public:
  explicit Reinforce(const RouterParts& parts) : Router(parts) {}

  Route route(const torch::Tensor& x_TD, const RouterContext& context) override {
    Route route;
    // The policy's gradient must not reach the trunk.
    route.logit_TE = logits(x_TD.detach(), weight_ED);
    route.score_TE = route.logit_TE.softmax(1);
    route.clean_softmax = true;
    auto selection_TE = route.logit_TE.detach();
    if (context.training) selection_TE = selection_TE + gumbel_noise(selection_TE, generator(context.position));
    route.expert_TK = select_top_k(selection_TE, 1);
    route.weight_TK = torch::ones(route.expert_TK.sizes(), route.logit_TE.options().requires_grad(false));
    route.count_KE = count_assignments(route.expert_TK, shape_.experts);
    limit_to_capacity(route, selection_TE, context);
    return route;
  }

 private:
  // The largest of z + Gumbel noise is a draw from softmax(z).
  static torch::Tensor gumbel_noise(const torch::Tensor& like, at::Generator generator) {
    const torch::NoGradGuard no_grad;
    const auto exponential = torch::empty(like.sizes(), torch::kFloat64).exponential_(1, std::move(generator));
    return exponential.log().neg().to(like.device(), like.scalar_type());
  }
};

}  // namespace

std::shared_ptr<Router> make_reinforce(const RouterParts& parts) {
  return std::make_shared<Reinforce>(parts);
}

}  // namespace moelab::worker
