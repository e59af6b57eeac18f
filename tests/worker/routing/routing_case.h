// Owns what the tests of routing and balance share: configurations, and routers whose logits are known exactly.
#pragma once

#include <torch/torch.h>

#include <memory>

#include "core/config.h"
#include "core/model_shape.h"
#include "worker/routing/router.h"

namespace moelab::worker::test {

// A one-layer model whose width equals its expert count, so that an identity router turns inputs into logits.
inline core::RunConfig routing_config(std::int64_t experts, std::int64_t active) {
  core::RunConfig config;
  config.model.vocab_size = 8;
  config.model.hidden_size = experts;
  config.model.num_hidden_layers = 1;
  config.model.num_attention_heads = 1;
  config.model.head_dim = 2;
  config.model.intermediate_size = 4;
  config.moe.num_experts = experts;
  config.moe.num_active_experts = active;
  return config;
}

inline bool has_type(const torch::Tensor& tensor, torch::ScalarType type) {
  return tensor.scalar_type() == type;
}

// Its logits are its inputs, bit for bit.
inline std::shared_ptr<Router> identity_router(const core::RunConfig& config) {
  const auto shape = core::model_shape(config);
  auto router = make_router({config, shape});
  torch::NoGradGuard no_grad;
  router->weight_ED.copy_(torch::eye(config.moe.num_experts));
  return router;
}

// Central differences of the scalar function `f` at `x` (double), to be compared with autograd's gradient.
template <class Function>
torch::Tensor numeric_gradient(const torch::Tensor& x, Function&& f, double step = 1e-6) {
  torch::NoGradGuard no_grad;
  auto gradient = torch::zeros_like(x);
  auto at = x.detach().clone();
  auto flat_x = at.view({-1}), flat_gradient = gradient.view({-1});
  for (std::int64_t i = 0; i < flat_x.size(0); ++i) {
    const double value = flat_x[i].item<double>();
    flat_x[i] = value + step;
    const double above = f(at);
    flat_x[i] = value - step;
    const double below = f(at);
    flat_x[i] = value;
    flat_gradient[i] = (above - below) / (2 * step);
  }
  return gradient;
}

}  // namespace moelab::worker::test
