// Shapes: T tokens, D width.
#include "worker/ops/rms_norm.h"

#include <algorithm>
#include <cmath>

#include "worker/ops/cpu_vector.h"

namespace moelab::worker {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Row blocks of the weight gradient: a fixed number, so that the sum does not depend on the number of threads.
constexpr std::int64_t kWeightGradientBlocks = 16;

MOELAB_CPU_CLONES void forward_rows(const float* stream, const float* delta, const float* weight, float* sum, float* normed, float* rstd,
                                    std::int64_t rows, std::int64_t width, float eps) {
  for (std::int64_t t = 0; t < rows; ++t) {
    const float* x = stream + t * width;
    if (delta != nullptr) {
      const float* d = delta + t * width;
      float* s = sum + t * width;
      for (std::int64_t j = 0; j < width; ++j) s[j] = x[j] + d[j];
      x = s;
    }
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t j = 0; j < width; ++j) squares += x[j] * x[j];
    const float r = 1.0F / std::sqrt(squares / static_cast<float>(width) + eps);
    rstd[t] = r;
    float* y = normed + t * width;
    for (std::int64_t j = 0; j < width; ++j) y[j] = x[j] * r * weight[j];
  }
}

// grad_x = r * (g*w - xhat * mean(g*w*xhat)) + grad_sum, with xhat = x * r; grad_weight += g * xhat.
MOELAB_CPU_CLONES void backward_rows(const float* x_rows, const float* rstd, const float* weight, const float* grad_normed,
                                     const float* grad_sum, float* grad_x, float* grad_weight, std::int64_t rows, std::int64_t width) {
  for (std::int64_t t = 0; t < rows; ++t) {
    const float* x = x_rows + t * width;
    const float* g = grad_normed + t * width;
    float* out = grad_x + t * width;
    const float r = rstd[t];
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t j = 0; j < width; ++j) dot += g[j] * weight[j] * x[j];
    const float shift = dot * r * r * r / static_cast<float>(width);
    if (grad_sum != nullptr) {
      const float* s = grad_sum + t * width;
      for (std::int64_t j = 0; j < width; ++j) out[j] = r * g[j] * weight[j] - x[j] * shift + s[j];
    } else {
      for (std::int64_t j = 0; j < width; ++j) out[j] = r * g[j] * weight[j] - x[j] * shift;
    }
    for (std::int64_t j = 0; j < width; ++j) grad_weight[j] += g[j] * x[j] * r;
  }
}

class AddRmsNorm : public torch::autograd::Function<AddRmsNorm> {
 public:
  // An autograd node takes no undefined input, so an empty tensor stands for "no delta".
  static variable_list forward(AutogradContext* ctx, const Variable& stream_TD, const Variable& delta_or_empty, const Variable& weight_D,
                               double eps, torch::ScalarType out_type) {
    const auto delta_TD = delta_or_empty.dim() == 2 ? delta_or_empty : Variable();
    const auto rows = stream_TD.size(0), width = stream_TD.size(1);
    const auto stream = stream_TD.contiguous();
    torch::Tensor sum, normed, rstd_T;
    const bool fused = cpu::plain_float(stream) && cpu::plain_float(delta_TD) && out_type == torch::kFloat32;
    if (fused) {
      const auto delta = delta_TD.defined() ? delta_TD.contiguous() : delta_TD;
      sum = delta.defined() ? torch::empty_like(stream) : stream;
      normed = torch::empty_like(stream);
      rstd_T = torch::empty({rows}, stream.options());
      const float* delta_data = delta.defined() ? delta.const_data_ptr<float>() : nullptr;
      const float* stream_data = stream.const_data_ptr<float>();
      const float* weight_data = weight_D.const_data_ptr<float>();
      float* sum_data = delta.defined() ? sum.mutable_data_ptr<float>() : nullptr;
      float* normed_data = normed.mutable_data_ptr<float>();
      float* rstd_data = rstd_T.mutable_data_ptr<float>();
      cpu::parallel_rows(rows, width, [&](std::int64_t first, std::int64_t last) {
        const auto at = first * width;
        forward_rows(stream_data + at, delta_data != nullptr ? delta_data + at : nullptr, weight_data,
                     sum_data != nullptr ? sum_data + at : nullptr, normed_data + at, rstd_data + first, last - first, width,
                     static_cast<float>(eps));
      });
    } else {
      sum = delta_TD.defined() ? stream + delta_TD.to(stream.scalar_type()) : stream;
      rstd_T = sum.square().mean(1).add_(eps).rsqrt_();
      normed = (sum * rstd_T.unsqueeze(1)).mul_(weight_D).to(out_type);
    }
    ctx->save_for_backward({sum, rstd_T, weight_D});
    ctx->saved_data["delta_type"] = delta_TD.defined() ? static_cast<std::int64_t>(delta_TD.scalar_type()) : std::int64_t{-1};
    ctx->saved_data["fused"] = fused;
    ctx->set_materialize_grads(false);
    if (!delta_TD.defined()) return {normed};
    return {normed, sum};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &rstd_T = saved[1], &weight_D = saved[2];
    const auto grad_normed = gradients[0];
    const auto grad_sum = gradients.size() > 1 ? gradients[1] : Variable();
    const auto delta_type = ctx->saved_data["delta_type"].toInt();
    Variable grad_x, grad_weight;
    if (!grad_normed.defined()) {
      grad_x = grad_sum;
      grad_weight = torch::zeros_like(weight_D);
    } else if (ctx->saved_data["fused"].toBool()) {
      std::tie(grad_x, grad_weight) =
          backward_fused(x, rstd_T, weight_D, grad_normed.contiguous(), grad_sum.defined() ? grad_sum.contiguous() : grad_sum);
    } else {
      const auto normalized = x * rstd_T.unsqueeze(1);
      const auto g = grad_normed.to(x.scalar_type());
      const auto weighted = g * weight_D;
      grad_x = (weighted - normalized * (weighted * normalized).mean(1, true)) * rstd_T.unsqueeze(1);
      if (grad_sum.defined()) grad_x = grad_x + grad_sum;
      grad_weight = (g * normalized).sum(0);
    }
    const auto grad_delta = delta_type < 0 ? Variable() : grad_x.to(static_cast<torch::ScalarType>(delta_type));
    return {grad_x, grad_delta, grad_weight, Variable(), Variable()};
  }

 private:
  static std::pair<Variable, Variable> backward_fused(const Variable& x, const Variable& rstd_T, const Variable& weight_D,
                                                      const Variable& grad_normed, const Variable& grad_sum) {
    const auto rows = x.size(0), width = x.size(1);
    auto grad_x = torch::empty_like(x);
    auto partial = torch::zeros({kWeightGradientBlocks, width}, x.options());
    const float *x_data = x.const_data_ptr<float>(), *rstd_data = rstd_T.const_data_ptr<float>();
    const float *weight_data = weight_D.const_data_ptr<float>(), *normed_data = grad_normed.const_data_ptr<float>();
    const float* sum_data = grad_sum.defined() ? grad_sum.const_data_ptr<float>() : nullptr;
    float *out_data = grad_x.mutable_data_ptr<float>(), *partial_data = partial.mutable_data_ptr<float>();
    const auto block_rows = (rows + kWeightGradientBlocks - 1) / kWeightGradientBlocks;
    at::parallel_for(0, kWeightGradientBlocks, 1, [&](std::int64_t first_block, std::int64_t last_block) {
      for (auto block = first_block; block < last_block; ++block) {
        const auto first = std::min(rows, block * block_rows), last = std::min(rows, first + block_rows);
        const auto at = first * width;
        backward_rows(x_data + at, rstd_data + first, weight_data, normed_data + at, sum_data != nullptr ? sum_data + at : nullptr,
                      out_data + at, partial_data + block * width, last - first, width);
      }
    });
    return {grad_x, partial.sum(0)};
  }
};

}  // namespace

ResidualNorm add_rms_norm(const torch::Tensor& stream_TD, const torch::Tensor& delta_TD, const torch::Tensor& weight_D, double eps,
                          torch::ScalarType out_type) {
  const auto delta_or_empty = delta_TD.defined() ? delta_TD : torch::empty({0}, stream_TD.options().requires_grad(false));
  auto outputs = AddRmsNorm::apply(stream_TD, delta_or_empty, weight_D, eps, out_type);
  return {delta_TD.defined() ? outputs[1] : stream_TD, outputs[0]};
}

ResidualNorm add_rms_norm_reference(const torch::Tensor& stream_TD, const torch::Tensor& delta_TD, const torch::Tensor& weight_D,
                                    double eps, torch::ScalarType out_type) {
  const auto sum = delta_TD.defined() ? stream_TD + delta_TD.to(stream_TD.scalar_type()) : stream_TD;
  const auto normalized = sum * torch::rsqrt(sum.square().mean(1, true) + eps);
  return {sum, (normalized * weight_D).to(out_type)};
}

}  // namespace moelab::worker
