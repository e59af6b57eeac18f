#include "worker/routing/router_noise.h"

#include <algorithm>
#include <cmath>

namespace moelab::worker {

double annealed_std(const core::MoeConfig& moe, const StepPosition& position) {
  const double steps = std::floor(moe.noise_anneal_frac * static_cast<double>(position.max_steps));
  return steps > 0 ? moe.noise_std * std::max(0.0, 1 - static_cast<double>(position.step) / steps) : 0;
}

torch::Tensor normal_noise(const torch::Tensor& like, at::Generator generator) {
  const torch::NoGradGuard no_grad;
  return torch::randn(like.sizes(), std::move(generator), torch::dtype(like.scalar_type())).to(like.device());
}

torch::Tensor jittered(const torch::Tensor& x_TD, double eps, at::Generator generator) {
  torch::Tensor factor_TD;
  {
    const torch::NoGradGuard no_grad;
    factor_TD = torch::empty(x_TD.sizes(), torch::kFloat32).uniform_(1 - eps, 1 + eps, std::move(generator));
  }
  return x_TD * factor_TD.to(x_TD.device(), x_TD.scalar_type());
}

}  // namespace moelab::worker
