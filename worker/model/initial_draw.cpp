#include "worker/model/initial_draw.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <string>

namespace moelab::worker {
namespace {

constexpr double kCutOff = 2;  // standard deviations

// The width of what a matrix multiplies: expert stacks are [E, in, out], every other matrix is [out, in].
double fan_in(const torch::Tensor& matrix) {
  return static_cast<double>(matrix.size(1));
}

bool writes_residual(const std::string& name) {
  return name.ends_with("attn.o.weight") || name.ends_with("down.weight") || name.ends_with("experts.down");
}

// By the inverse of the normal distribution, so that one number is drawn for each weight.
void draw_truncated(torch::Tensor matrix, double std, const at::Generator& generator) {
  const double tail = std::erfc(kCutOff / std::sqrt(2.0)) / 2;
  matrix.uniform_(tail, 1 - tail, generator).mul_(2).sub_(1).erfinv_().mul_(std * std::sqrt(2.0)).clamp_(-kCutOff * std, kCutOff * std);
}

// Orthogonal rows of length `gain`; [E, D] with E <= D.
void draw_orthogonal(torch::Tensor matrix_ED, double gain, const at::Generator& generator) {
  const auto normal_DE = torch::empty({matrix_ED.size(1), matrix_ED.size(0)}, torch::kFloat64).normal_(0, 1, generator);
  const auto [q_DE, r_EE] = torch::linalg_qr(normal_DE);
  // Signs as if the diagonal of r were positive: then every orthogonal matrix is equally likely.
  matrix_ED.copy_((q_DE * r_EE.diagonal().sign()).t() * gain);
}

}  // namespace

void draw_weights(const torch::nn::Module& model, const core::RunConfig& config) {
  const torch::NoGradGuard no_grad;
  const auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(config.seed));
  const double range = config.model.initializer_range;
  const double residual_range = range / std::sqrt(2.0 * static_cast<double>(config.model.num_hidden_layers));
  const bool base = config.moe.routing == core::Routing::base;
  const bool orthogonal = base || config.moe.router_init == core::RouterInit::orthogonal;
  for (const auto& item : model.named_parameters()) {
    const auto& name = item.key();
    auto parameter = item.value();
    if (parameter.dim() == 1) {
      parameter.fill_(1);
    } else if (orthogonal && name.ends_with("moe.router.weight")) {
      draw_orthogonal(parameter, base ? 0.1 : 1.0, generator);
    } else if (config.model.init_scheme == core::InitScheme::switch_scaled && name != "embed_tokens.weight") {
      draw_truncated(parameter, std::sqrt(config.model.init_scale / fan_in(parameter)), generator);
    } else {
      const bool scaled = config.model.init_scheme == core::InitScheme::resid_scaled && writes_residual(name);
      parameter.normal_(0, scaled ? residual_range : range, generator);
    }
  }
}

}  // namespace moelab::worker
