// Owns BASE layers (Lewis et al., arXiv 2103.16716; fairseq): in training every expert gets equally many tokens by the best linear
// assignment, in evaluation each token its best expert. The output is sigmoid(a) * Expert(x), a the token's product with the
// expert's centroid, and through a the centroids learn; the assignment itself has no gradient. K = 1.
// Shapes: T tokens, D model width, E experts.
#include "worker/routing/balanced_assignment.h"
#include "worker/routing/router.h"
#include "worker/routing/top_k.h"

namespace moelab::worker {
namespace {

class Base final : public Router {
 public:
  explicit Base(const RouterParts& parts) : Router(parts) {}

  Route route(const torch::Tensor& x_TD, const RouterContext& context) override {
    Route route;
    route.logit_TE = logits(x_TD, weight_ED);
    route.score_TE = route.logit_TE.softmax(1);
    route.clean_softmax = true;
    route.expert_TK = context.training ? balanced_assignment(route.logit_TE).unsqueeze(1) : select_top_k(route.logit_TE.detach(), 1);
    route.weight_TK = route.logit_TE.gather(1, route.expert_TK).sigmoid();
    route.count_KE = count_assignments(route.expert_TK, shape_.experts);
    return route;
  }
};

}  // namespace

std::shared_ptr<Router> make_base(const RouterParts& parts) {
  return std::make_shared<Base>(parts);
}

}  // namespace moelab::worker
