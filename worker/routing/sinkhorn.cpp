// Owns Sinkhorn routing (S-BASE; Clark et al., arXiv 2202.01169): in training the K best experts of a balanced transport plan, in
// evaluation the K best logits. Combine weights are those of the logits alone: sigmoid for K = 1, else the softmax, not renormalised.
// Shapes: T tokens, D model width, E experts, K choices.
#include "worker/routing/router.h"
#include "worker/routing/top_k.h"
#include "worker/routing/transport_plan.h"

namespace moelab::worker {
namespace {

class Sinkhorn final : public Router {
 public:
  explicit Sinkhorn(const RouterParts& parts) : Router(parts) {}

  Route route(const torch::Tensor& x_TD, const RouterContext& context) override {
    Route route;
    route.logit_TE = logits(x_TD, weight_ED);
    route.score_TE = route.logit_TE.softmax(1);
    route.clean_softmax = true;
    torch::Tensor selection_TE = route.logit_TE.detach();
    if (context.training) selection_TE = selection_TE.to(torch::kFloat64) + transport_log_scale_E(route.logit_TE);
    route.expert_TK = select_top_k(selection_TE, shape_.active);
    const auto activation_TE = shape_.active == 1 ? route.logit_TE.sigmoid() : route.score_TE;
    route.weight_TK = activation_TE.gather(1, route.expert_TK);
    route.count_KE = count_assignments(route.expert_TK, shape_.experts);
    limit_to_capacity(route, selection_TE, context);
    return route;
  }
};

}  // namespace

std::shared_ptr<Router> make_sinkhorn(const RouterParts& parts) {
  return std::make_shared<Sinkhorn>(parts);
}

}  // namespace moelab::worker
