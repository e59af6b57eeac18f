#include "worker/routing/transport_plan.h"

#include <cmath>

namespace moelab::worker {

torch::Tensor transport_log_scale_E(const torch::Tensor& logit_TE) {
  const torch::NoGradGuard no_grad;
  constexpr int kIterations = 100;
  constexpr double kTolerance = 1e-4;
  const auto z_TE = logit_TE.detach().to(torch::kFloat64);
  const double log_row = -std::log(static_cast<double>(z_TE.size(0))), log_column = -std::log(static_cast<double>(z_TE.size(1)));
  auto log_v_E = torch::zeros({z_TE.size(1)}, z_TE.options());
  for (int i = 0; i < kIterations; ++i) {
    const auto log_u_T1 = log_row - (z_TE + log_v_E).logsumexp(1, /*keepdim=*/true);
    const auto next_E = log_column - (z_TE + log_u_T1).logsumexp(0);
    const double change = (next_E.exp() - log_v_E.exp()).abs().mean().item<double>();
    log_v_E = next_E;
    if (change < kTolerance) break;
  }
  return log_v_E;
}

}  // namespace moelab::worker
