// Owns random routing, the floor every learned router must beat: K distinct experts by chance, w = 1/K. fresh draws them for each
// token, layer and step (evaluation draws as step 0 does); frozen lets a random router choose that never learns.
// Shapes: T tokens, D model width, E experts, K choices.
#include "worker/routing/router.h"
#include "worker/routing/top_k.h"

namespace moelab::worker {
namespace {

class Random final : public Router {
 public:
  explicit Random(const RouterParts& parts) : Router(parts, parts.config.moe.random_mode == core::RandomMode::frozen) {}

  Route route(const torch::Tensor& x_TD, const RouterContext& context) override {
    const auto type = x_TD.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
    Route route;
    torch::Tensor selection_TE;
    if (weight_ED.defined()) {
      const torch::NoGradGuard frozen;
      route.logit_TE = logits(x_TD, weight_ED);
      route.score_TE = route.logit_TE.softmax(1);
      route.clean_softmax = true;
      selection_TE = route.score_TE;
    } else {
      // The K largest of E independent uniform numbers are K distinct experts, every set equally likely.
      const auto position = context.training ? context.position : StepPosition{};
      selection_TE = torch::rand({x_TD.size(0), shape_.experts}, generator(position), torch::kFloat32).to(x_TD.device());
    }
    route.expert_TK = select_top_k(selection_TE, shape_.active);
    route.weight_TK =
        torch::full_like(route.expert_TK, 1.0 / static_cast<double>(shape_.active), x_TD.options().dtype(type).requires_grad(false));
    route.count_KE = count_assignments(route.expert_TK, shape_.experts);
    limit_to_capacity(route, selection_TE, context);
    return route;
  }
};

}  // namespace

std::shared_ptr<Router> make_random(const RouterParts& parts) {
  return std::make_shared<Random>(parts);
}

}  // namespace moelab::worker
