// Owns expert choice (Zhou et al., arXiv 2202.09368): each expert takes its best tokens, C = floor(T K ec_capacity / E) of them,
// among the micro-batch or each sequence. Combine weights are the softmax scores, not renormalised; a token may get 0 to E experts.
// The choice looks at later tokens, so a causal form stands beside it for generation and for the evaluation that counts: the
// same scores, K best experts a token.
// Shapes: T tokens, D model width, E experts, K choices, B choice pools of P tokens, C tokens an expert takes in a pool.
#include <algorithm>
#include <cmath>

#include "worker/routing/router.h"
#include "worker/routing/top_k.h"

namespace moelab::worker {
namespace {

class ExpertChoice final : public Router {
 public:
  explicit ExpertChoice(const RouterParts& parts) : Router(parts) {}

  Route route(const torch::Tensor& x_TD, const RouterContext& context) override {
    Route route;
    route.logit_TE = logits(x_TD, weight_ED);
    route.score_TE = route.logit_TE.softmax(1);
    route.clean_softmax = true;
    const bool pooled = context.training || (!context.causal && !context.generating);
    if (pooled) {
      choose_tokens(route, context.sequences);
    } else {
      route.expert_TK = select_top_k(route.score_TE.detach(), shape_.active);
      route.weight_TK = route.score_TE.gather(1, route.expert_TK);
      route.count_KE = count_assignments(route.expert_TK, shape_.experts);
    }
    return route;
  }

 private:
  // Every expert is a slot of every token, and keep_TK says which slots were chosen.
  void choose_tokens(Route& route, std::int64_t sequences) const {
    const auto E = shape_.experts, T = route.score_TE.size(0);
    const auto pools = moe_.ec_scope == core::ChoiceScope::sequence ? sequences : 1, P = T / pools;
    const double share = static_cast<double>(P * shape_.active) * moe_.ec_capacity / static_cast<double>(E);
    const auto C = std::min(P, std::max(moe_.min_capacity, static_cast<std::int64_t>(std::floor(share))));
    const torch::Tensor score_BEP = route.score_TE.detach().view({pools, P, E}).transpose(1, 2);
    const auto token_BEC = select_top_k_by_sort(score_BEP.reshape({pools * E, P}), C).view({pools, E, C});
    const auto chosen_BEP = torch::zeros(score_BEP.sizes(), score_BEP.options().dtype(torch::kBool)).scatter_(2, token_BEC, true);
    route.keep_TK = chosen_BEP.transpose(1, 2).reshape({T, E});
    route.expert_TK = torch::arange(E, route.keep_TK.options().dtype(torch::kInt64)).expand({T, E}).contiguous();
    route.weight_TK = route.score_TE;
    route.count_KE = route.keep_TK.sum(0, /*keepdim=*/true);
  }
};

}  // namespace

std::shared_ptr<Router> make_expert_choice(const RouterParts& parts) {
  return std::make_shared<ExpertChoice>(parts);
}

}  // namespace moelab::worker
