// Shapes: T tokens, R rows of a chunk, D model width, V vocabulary.
#include "worker/ops/linear_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/ops/cpu_vector.h"

namespace moelab::worker {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr std::int64_t kLogitChunk = std::int64_t{16} << 20;  // logits of a chunk: 64 MB in fp32

// -log p(target); with `gradient` the logits become scale * (p - onehot(target)).
MOELAB_CPU_CLONES double cross_entropy_row(float* logits, std::int64_t target, float scale, bool gradient, std::int64_t vocab) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::int64_t j = 0; j < vocab; ++j) largest = logits[j] > largest ? logits[j] : largest;
  const float target_logit = logits[target];
  float sum = 0;
  if (gradient) {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < vocab; ++j) {
      logits[j] = cpu::exp(logits[j] - largest);
      sum += logits[j];
    }
    const float factor = scale / sum;
    for (std::int64_t j = 0; j < vocab; ++j) logits[j] *= factor;
    logits[target] -= scale;
  } else {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < vocab; ++j) sum += cpu::exp(logits[j] - largest);
  }
  return std::log(static_cast<double>(sum)) + static_cast<double>(largest) - static_cast<double>(target_logit);
}

// Losses of the rows (0 where ignored), fp64 [R]; with `gradient`, logits_RV is overwritten by its gradient.
torch::Tensor cross_entropy_rows(torch::Tensor& logits_RV, const torch::Tensor& target_R, double scale, std::int64_t ignored,
                                 bool gradient) {
  const auto rows = logits_RV.size(0), vocab = logits_RV.size(1);
  if (logits_RV.is_cpu() && logits_RV.scalar_type() == torch::kFloat32) {
    auto loss_R = torch::empty({rows}, torch::kFloat64);
    float* logits = logits_RV.mutable_data_ptr<float>();
    const auto* target = target_R.const_data_ptr<std::int64_t>();
    double* loss = loss_R.mutable_data_ptr<double>();
    cpu::parallel_rows(rows, vocab, [&](std::int64_t first, std::int64_t last) {
      for (auto i = first; i < last; ++i) {
        float* row = logits + i * vocab;
        if (target[i] == ignored) {
          loss[i] = 0;
          if (gradient) std::fill(row, row + vocab, 0.0F);
          continue;
        }
        TORCH_CHECK_INDEX(target[i] >= 0 && target[i] < vocab, "target ", target[i], " outside the vocabulary of ", vocab);
        loss[i] = cross_entropy_row(row, target[i], static_cast<float>(scale), gradient, vocab);
      }
    });
    return loss_R;
  }
  const auto wide_RV = logits_RV.scalar_type() == torch::kFloat64 ? logits_RV : logits_RV.to(torch::kFloat32);
  const auto valid_R = target_R != ignored;
  const auto safe_R1 = torch::where(valid_R, target_R, 0).unsqueeze(1);
  auto log_probability_RV = wide_RV.log_softmax(1);
  const auto loss_R = -log_probability_RV.gather(1, safe_R1).squeeze(1).to(torch::kFloat64) * valid_R;
  if (gradient) {
    auto gradient_RV = log_probability_RV.exp_();
    gradient_RV.scatter_add_(1, safe_R1, torch::full_like(safe_R1, -1, gradient_RV.options()));
    logits_RV = gradient_RV.mul_(valid_R.unsqueeze(1)).mul_(scale).to(logits_RV.scalar_type());
  }
  return loss_R;
}

class LinearCrossEntropy : public torch::autograd::Function<LinearCrossEntropy> {
 public:
  static variable_list forward(AutogradContext* ctx, const Variable& x_TD, const Variable& weight_VD, const Variable& target_T,
                               double scale, std::int64_t ignored, bool gradient) {
    const auto tokens = x_TD.size(0), vocab = weight_VD.size(0);
    const auto step = std::clamp<std::int64_t>(kLogitChunk / vocab, std::min<std::int64_t>(tokens, 64), tokens);
    const auto target = target_T.contiguous();
    auto nll_T = torch::empty({tokens}, x_TD.options().dtype(torch::kFloat64));
    Variable grad_x, grad_weight;
    const auto master = x_TD.scalar_type() == torch::kBFloat16 ? torch::kFloat32 : x_TD.scalar_type();
    if (gradient) grad_x = torch::empty_like(x_TD);
    for (std::int64_t first = 0; first < tokens; first += step) {
      const auto rows = std::min(step, tokens - first);
      const auto x_RD = x_TD.narrow(0, first, rows);
      auto logits_RV = at::mm(x_RD, weight_VD.t());
      nll_T.narrow(0, first, rows).copy_(cross_entropy_rows(logits_RV, target.narrow(0, first, rows), scale, ignored, gradient));
      if (!gradient) continue;
      auto grad_x_RD = grad_x.narrow(0, first, rows);
      at::mm_out(grad_x_RD, logits_RV, weight_VD);
      add_product(grad_weight, logits_RV.t(), x_RD, master);
    }
    if (gradient) ctx->save_for_backward({grad_x, grad_weight});
    const auto sum = nll_T.sum();
    ctx->mark_non_differentiable({sum, nll_T});
    ctx->saved_data["weight_type"] = static_cast<std::int64_t>(weight_VD.scalar_type());
    return {(sum * scale).to(master), sum, nll_T};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    auto grad_x = saved[0], grad_weight = saved[1];
    const auto& upstream = gradients[0];
    // Reading the factor is free on the CPU and saves two passes over large tensors; on a GPU it would wait for the device.
    if (!upstream.is_cpu() || upstream.item<double>() != 1) {
      grad_x = grad_x * upstream.to(grad_x.scalar_type());
      grad_weight = grad_weight * upstream.to(grad_weight.scalar_type());
    }
    return {grad_x,     grad_weight.to(static_cast<torch::ScalarType>(ctx->saved_data["weight_type"].toInt())),
            Variable(), Variable(),
            Variable(), Variable()};
  }

 private:
  // sum += left * right, kept in the master type over the chunks.
  static void add_product(Variable& sum, const Variable& left, const Variable& right, torch::ScalarType master) {
    if (!sum.defined()) {
      sum = at::mm(left, right).to(master);
    } else if (left.scalar_type() == master) {
      sum.addmm_(left, right);
    } else {
      sum.add_(at::mm(left, right));
    }
  }
};

}  // namespace

CrossEntropy linear_cross_entropy(const torch::Tensor& x_TD, const torch::Tensor& weight_VD, const torch::Tensor& target_T, double scale,
                                  std::int64_t ignored) {
  const bool gradient = torch::GradMode::is_enabled() && (x_TD.requires_grad() || weight_VD.requires_grad());
  const auto outputs = LinearCrossEntropy::apply(x_TD, weight_VD, target_T, scale, ignored, gradient);
  return {outputs[0], outputs[1], outputs[2]};
}

CrossEntropy linear_cross_entropy_reference(const torch::Tensor& x_TD, const torch::Tensor& weight_VD, const torch::Tensor& target_T,
                                            double scale, std::int64_t ignored) {
  const auto logits = torch::linear(x_TD, weight_VD);
  const auto wide = logits.scalar_type() == torch::kFloat64 ? logits : logits.to(torch::kFloat32);
  namespace F = torch::nn::functional;
  const auto nll_T = F::cross_entropy(wide, target_T, F::CrossEntropyFuncOptions().ignore_index(ignored).reduction(torch::kNone));
  return {nll_T.sum() * scale, nll_T.detach().to(torch::kFloat64).sum(), nll_T.detach().to(torch::kFloat64)};
}

}  // namespace moelab::worker
