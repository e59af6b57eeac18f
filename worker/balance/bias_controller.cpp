// Shapes: L MoE layers, K choices, E experts.
#include "worker/balance/bias_controller.h"

#include <utility>

#include "core/error.h"

namespace moelab::worker {

BiasController::BiasController(const core::MoeConfig& moe, std::vector<torch::Tensor> bias_LE) : moe_(moe), bias_LE_(std::move(bias_LE)) {
  if (bias_LE_.empty()) return;
  const auto options = torch::TensorOptions().dtype(torch::kInt64).device(bias_LE_.front().device());
  counts_LE_ = torch::zeros({static_cast<std::int64_t>(bias_LE_.size()), bias_LE_.front().size(0)}, options);
}

void BiasController::add(const std::vector<Route>& routes) {
  if (bias_LE_.empty()) return;
  TORCH_CHECK(routes.size() == bias_LE_.size(), "BiasController: one route per MoE layer");
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> counts;
  for (const auto& route : routes) counts.push_back(route.count_KE.sum(0));
  counts_LE_ += torch::stack(counts);
}

void BiasController::step() {
  if (bias_LE_.empty() || ++calls_ < moe_.lb_bias_interval) return;
  torch::NoGradGuard no_grad;
  const auto count_LE = counts_LE_.to(torch::kFloat64);
  const auto mean_L1 = count_LE.mean(1, /*keepdim=*/true);
  // proportional: E * f - 1 = count / mean - 1. An interval without any assignment moves nothing.
  const auto excess_LE =
      moe_.lb_bias_rule == core::BiasRule::sign ? (count_LE - mean_L1).sign() : (count_LE - mean_L1) / mean_L1.clamp_min(1e-9);
  for (std::size_t layer = 0; layer < bias_LE_.size(); ++layer) {
    const auto move_E = excess_LE[static_cast<std::int64_t>(layer)] * moe_.lb_gamma;
    bias_LE_[layer].sub_(move_E.to(bias_LE_[layer].scalar_type()));
  }
  counts_LE_.zero_();
  calls_ = 0;
}

double BiasController::bias_abs_sum() const {
  if (bias_LE_.empty()) return 0;
  return torch::stack(bias_LE_).to(torch::kFloat64).abs().sum().item<double>();
}

void BiasController::restore(const torch::Tensor& counts_LE, std::int64_t calls) {
  if (bias_LE_.empty()) return;
  if (!counts_LE.defined() || counts_LE.sizes() != counts_LE_.sizes() || counts_LE.scalar_type() != torch::kInt64 || calls < 0) {
    throw core::Error(core::ErrorKind::storage,
                      "the checkpoint's bias-controller counts do not fit this model; resume from another checkpoint");
  }
  counts_LE_.copy_(counts_LE);
  calls_ = calls;
}

}  // namespace moelab::worker
