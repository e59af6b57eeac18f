// Shapes: T tokens (or N rows), D model width, F FFN width.
#include "worker/ops/swiglu.h"

#include "worker/ops/cpu_vector.h"

namespace moelab::worker {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

MOELAB_CPU_CLONES void activation_row(const float* gate, const float* up, float scale, float* out, std::int64_t width) {
  for (std::int64_t j = 0; j < width; ++j) out[j] = scale * gate[j] * cpu::sigmoid(gate[j]) * up[j];
}

// Returns the gradient of the scale: sum_j grad_j * silu(gate_j) * up_j.
MOELAB_CPU_CLONES float gradient_row(const float* gate, const float* up, float scale, const float* grad, float* activation,
                                     float* grad_gate, float* grad_up, std::int64_t width) {
  float grad_scale = 0;
#pragma omp simd reduction(+ : grad_scale)
  for (std::int64_t j = 0; j < width; ++j) {
    const float s = cpu::sigmoid(gate[j]), silu = gate[j] * s, g = grad[j], u = up[j];
    const float product = silu * u;
    activation[j] = scale * product;
    grad_scale += g * product;
    grad_up[j] = scale * g * silu;
    grad_gate[j] = scale * g * u * (s + silu * (1.0F - s));
  }
  return grad_scale;
}

// Elementwise maths of bf16 rows runs in fp32, of double rows in double.
torch::ScalarType wide_type(const torch::Tensor& x) {
  return x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

class SwigluFfn : public torch::autograd::Function<SwigluFfn> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& x_TD, const Variable& gate_FD, const Variable& up_FD,
                          const Variable& down_DF) {
    const auto gate_TF = at::mm(x_TD, gate_FD.t()), up_TF = at::mm(x_TD, up_FD.t());
    ctx->save_for_backward({x_TD, gate_FD, up_FD, down_DF, gate_TF, up_TF});
    return at::mm(swiglu_activation(gate_TF, up_TF, {}), down_DF.t());
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &x_TD = saved[0], &gate_FD = saved[1], &up_FD = saved[2], &down_DF = saved[3], &gate_TF = saved[4], &up_TF = saved[5];
    const auto& grad_TD = gradients[0];
    auto grad_gate_TF = torch::empty_like(gate_TF), grad_up_TF = torch::empty_like(up_TF);
    const auto activation_TF = swiglu_backward(gate_TF, up_TF, {}, at::mm(grad_TD, down_DF), grad_gate_TF, grad_up_TF).activation_NF;
    auto grad_x_TD = at::mm(grad_gate_TF, gate_FD);
    grad_x_TD.addmm_(grad_up_TF, up_FD);
    const auto weight_gradient = [&](std::size_t input, const Variable& grad_TY, const Variable& rows_TX) {
      return ctx->needs_input_grad(input) ? at::mm(grad_TY.t(), rows_TX) : Variable();  // else the weight is frozen
    };
    return {grad_x_TD, weight_gradient(1, grad_gate_TF, x_TD), weight_gradient(2, grad_up_TF, x_TD),
            weight_gradient(3, grad_TD, activation_TF)};
  }
};

}  // namespace

torch::Tensor swiglu_ffn(const torch::Tensor& x_TD, const SwigluWeights& weights) {
  return SwigluFfn::apply(x_TD, weights.gate_FD, weights.up_FD, weights.down_DF);
}

torch::Tensor swiglu_ffn_reference(const torch::Tensor& x_TD, const SwigluWeights& weights) {
  const auto gate = torch::linear(x_TD, weights.gate_FD);
  return torch::linear(gate * torch::sigmoid(gate) * torch::linear(x_TD, weights.up_FD), weights.down_DF);
}

torch::Tensor swiglu_activation(const torch::Tensor& gate_NF, const torch::Tensor& up_NF, const torch::Tensor& scale_N) {
  if (!cpu::plain_float(gate_NF)) {
    const auto type = wide_type(gate_NF);
    const auto gate = gate_NF.to(type);
    auto product = gate * gate.sigmoid() * up_NF.to(type);
    if (scale_N.defined()) product = product * scale_N.to(type).unsqueeze(1);
    return product.to(gate_NF.scalar_type());
  }
  const auto rows = gate_NF.size(0), width = gate_NF.size(1), gate_stride = gate_NF.stride(0), up_stride = up_NF.stride(0);
  auto out_NF = torch::empty({rows, width}, gate_NF.options());
  const float *gate = gate_NF.const_data_ptr<float>(), *up = up_NF.const_data_ptr<float>();
  const float* scale = scale_N.defined() ? scale_N.const_data_ptr<float>() : nullptr;
  float* out = out_NF.mutable_data_ptr<float>();
  cpu::parallel_rows(rows, width, [&](std::int64_t first, std::int64_t last) {
    for (auto i = first; i < last; ++i) {
      activation_row(gate + i * gate_stride, up + i * up_stride, scale != nullptr ? scale[i] : 1.0F, out + i * width, width);
    }
  });
  return out_NF;
}

SwigluGradient swiglu_backward(const torch::Tensor& gate_NF, const torch::Tensor& up_NF, const torch::Tensor& scale_N,
                               const torch::Tensor& grad_NF, torch::Tensor grad_gate_NF, torch::Tensor grad_up_NF) {
  SwigluGradient result;
  if (!cpu::plain_float(gate_NF)) {
    const auto type = wide_type(gate_NF);
    const auto gate = gate_NF.to(type), up = up_NF.to(type), grad = grad_NF.to(type), sigmoid = gate.sigmoid();
    const auto silu = gate * sigmoid, product = silu * up;
    const auto scale = scale_N.defined() ? scale_N.to(type).unsqueeze(1) : torch::ones({1, 1}, gate.options());
    result.activation_NF = (scale * product).to(gate_NF.scalar_type());
    if (scale_N.defined()) result.scale_N = (grad * product).sum(1).to(scale_N.scalar_type());
    grad_up_NF.copy_(scale * grad * silu);
    grad_gate_NF.copy_(scale * grad * up * (sigmoid + silu * (1 - sigmoid)));
    return result;
  }
  const auto rows = gate_NF.size(0), width = gate_NF.size(1), gate_stride = gate_NF.stride(0), up_stride = up_NF.stride(0);
  const auto grad_contiguous = grad_NF.contiguous();
  result.activation_NF = torch::empty({rows, width}, gate_NF.options());
  if (scale_N.defined()) result.scale_N = torch::empty({rows}, gate_NF.options());
  const float *gate = gate_NF.const_data_ptr<float>(), *up = up_NF.const_data_ptr<float>(), *grad = grad_contiguous.const_data_ptr<float>();
  const float* scale = scale_N.defined() ? scale_N.const_data_ptr<float>() : nullptr;
  float* activation = result.activation_NF.mutable_data_ptr<float>();
  float* grad_scale = scale != nullptr ? result.scale_N.mutable_data_ptr<float>() : nullptr;
  float *grad_gate = grad_gate_NF.mutable_data_ptr<float>(), *grad_up = grad_up_NF.mutable_data_ptr<float>();
  const auto grad_gate_stride = grad_gate_NF.stride(0), grad_up_stride = grad_up_NF.stride(0);
  cpu::parallel_rows(rows, width, [&](std::int64_t first, std::int64_t last) {
    for (auto i = first; i < last; ++i) {
      const float row = gradient_row(gate + i * gate_stride, up + i * up_stride, scale != nullptr ? scale[i] : 1.0F, grad + i * width,
                                     activation + i * width, grad_gate + i * grad_gate_stride, grad_up + i * grad_up_stride, width);
      if (grad_scale != nullptr) grad_scale[i] = row;
    }
  });
  return result;
}

}  // namespace moelab::worker
