#include "worker/balance/expert_share.h"

namespace moelab::worker {

torch::Tensor load_share_E(const Route& route) {
  const auto count_E = route.count_KE.sum(0).to(route.score_TE.scalar_type());
  return count_E / count_E.sum();
}

torch::Tensor probability_TE(const Route& route, const core::ModelShape& shape) {
  if (!shape.sigmoid_scores) return route.score_TE;
  return route.score_TE / route.score_TE.sum(1, /*keepdim=*/true);
}

}  // namespace moelab::worker
