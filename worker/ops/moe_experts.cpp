// Shapes: T tokens, K choices, E experts, D model width, f expert width, N = kept assignments, n_e rows of expert e.
#include "worker/ops/moe_experts.h"

#include "worker/ops/dispatch.h"
#include "worker/ops/swiglu.h"

namespace moelab::worker {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// out[segment e] = rows[segment e] * matrix_e, for all experts.
torch::Tensor multiply_segments(const torch::Tensor& rows_NX, const torch::Tensor& matrix_EXY, const Dispatch& dispatch, bool grouped) {
  if (grouped) return at::_grouped_mm(rows_NX, matrix_EXY, dispatch.offset_E);
  auto out_NY = torch::empty({rows_NX.size(0), matrix_EXY.size(2)}, rows_NX.options());
  for (std::int64_t e = 0; e < matrix_EXY.size(0); ++e) {
    const auto first = dispatch.begin[static_cast<std::size_t>(e)], count = dispatch.begin[static_cast<std::size_t>(e) + 1] - first;
    if (count == 0) continue;
    auto out_nY = out_NY.narrow(0, first, count);
    at::mm_out(out_nY, rows_NX.narrow(0, first, count), matrix_EXY[e]);
  }
  return out_NY;
}

// gradient_e = left[segment e]^T right[segment e]: the weight gradients of all experts, zero for empty segments.
torch::Tensor weight_gradient(const torch::Tensor& left_NX, const torch::Tensor& right_NY, const Dispatch& dispatch, bool grouped) {
  if (grouped) return at::_grouped_mm(left_NX.t(), right_NY, dispatch.offset_E);
  const auto experts = static_cast<std::int64_t>(dispatch.begin.size()) - 1;
  auto gradient_EXY = torch::empty({experts, left_NX.size(1), right_NY.size(1)}, left_NX.options());
  for (std::int64_t e = 0; e < experts; ++e) {
    const auto first = dispatch.begin[static_cast<std::size_t>(e)], count = dispatch.begin[static_cast<std::size_t>(e) + 1] - first;
    auto gradient_XY = gradient_EXY[e];
    if (count == 0) {
      gradient_XY.zero_();
    } else {
      at::mm_out(gradient_XY, left_NX.narrow(0, first, count).t(), right_NY.narrow(0, first, count));
    }
  }
  return gradient_EXY;
}

bool use_grouped(const torch::Tensor& x_TD, ExpertProducts products) {
  return products == ExpertProducts::automatic ? !x_TD.is_cpu() : products == ExpertProducts::grouped;
}

class MoeExperts : public torch::autograd::Function<MoeExperts> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& x_TD, const Variable& expert_TK, const Variable& weight_TK,
                          const std::optional<Variable>& keep_TK, const Variable& gate_up_EDX, const Variable& down_EfD, bool grouped) {
    const auto dispatch = dispatch_by_expert(expert_TK, keep_TK.value_or(Variable()), gate_up_EDX.size(0));
    const auto weight_N = weight_TK.flatten().index_select(0, dispatch.slot_N);
    const auto gate_up_NX = multiply_segments(gather_rows(x_TD, dispatch), gate_up_EDX, dispatch, grouped);
    const auto halves = gate_up_NX.chunk(2, 1);
    const auto activation_Nf = swiglu_activation(halves[0], halves[1], weight_N);
    ctx->save_for_backward(
        {x_TD, weight_N, gate_up_EDX, down_EfD, gate_up_NX, dispatch.token_N, dispatch.slot_N, dispatch.row_TK, dispatch.offset_E});
    ctx->saved_data["begin"] = dispatch.begin;
    ctx->saved_data["grouped"] = grouped;
    ctx->saved_data["gate_up_input"] = keep_TK.has_value() ? 4 : 3;  // autograd counts only the tensors that are there
    return combine_rows(multiply_segments(activation_Nf, down_EfD, dispatch, grouped), dispatch, weight_TK.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &x_TD = saved[0], &weight_N = saved[1], &gate_up_EDX = saved[2], &down_EfD = saved[3], &gate_up_NX = saved[4];
    const Dispatch dispatch{saved[5], saved[6], saved[7], saved[8], ctx->saved_data["begin"].toIntVector()};
    const bool grouped = ctx->saved_data["grouped"].toBool();

    const auto grad_ND = gather_rows(gradients[0].to(x_TD.scalar_type()), dispatch);
    const auto halves = gate_up_NX.chunk(2, 1);
    auto grad_gate_up_NX = torch::empty_like(gate_up_NX);
    const auto grad_halves = grad_gate_up_NX.chunk(2, 1);
    const auto inner =
        swiglu_backward(halves[0], halves[1], weight_N, multiply_segments(grad_ND, down_EfD.transpose(1, 2), dispatch, grouped),
                        grad_halves[0], grad_halves[1]);
    variable_list result(7);
    const auto gate_up_input = static_cast<std::size_t>(ctx->saved_data["gate_up_input"].toInt());
    if (ctx->needs_input_grad(gate_up_input + 1)) result[5] = weight_gradient(inner.activation_NF, grad_ND, dispatch, grouped);
    if (ctx->needs_input_grad(gate_up_input)) {  // else the experts are frozen
      result[4] = weight_gradient(gather_rows(x_TD, dispatch), grad_gate_up_NX, dispatch, grouped);
    }
    const auto grad_x_ND = multiply_segments(grad_gate_up_NX, gate_up_EDX.transpose(1, 2), dispatch, grouped);
    result[0] = combine_rows(grad_x_ND, dispatch, x_TD.scalar_type());
    auto grad_weight = torch::zeros({dispatch.row_TK.numel()}, weight_N.options());
    result[2] = grad_weight.index_copy_(0, dispatch.slot_N, inner.scale_N).view_as(dispatch.row_TK);
    return result;
  }
};

}  // namespace

torch::Tensor moe_experts(const ExpertInputs& in, ExpertProducts products) {
  const auto keep_TK = in.keep_TK.defined() ? std::optional(in.keep_TK) : std::nullopt;
  return MoeExperts::apply(in.x_TD, in.expert_TK, in.weight_TK, keep_TK, in.gate_up_EDX, in.down_EfD, use_grouped(in.x_TD, products));
}

torch::Tensor moe_experts_reference(const ExpertInputs& in) {
  const auto width = in.down_EfD.size(1);
  auto out_TD = torch::zeros(in.x_TD.sizes(), in.weight_TK.options());
  for (std::int64_t k = 0; k < in.expert_TK.size(1); ++k) {
    for (std::int64_t e = 0; e < in.gate_up_EDX.size(0); ++e) {
      auto chosen_T = in.expert_TK.select(1, k) == e;
      if (in.keep_TK.defined()) chosen_T = chosen_T & in.keep_TK.select(1, k);
      const auto token_n = chosen_T.nonzero().flatten();
      const auto gate_up = torch::matmul(in.x_TD.index_select(0, token_n), in.gate_up_EDX[e]);
      const auto gate = gate_up.slice(1, 0, width), up = gate_up.slice(1, width);
      const auto y = torch::matmul(gate * torch::sigmoid(gate) * up, in.down_EfD[e]).to(out_TD.scalar_type());
      out_TD = out_TD.index_add(0, token_n, y * in.weight_TK.select(1, k).index_select(0, token_n).unsqueeze(1));
    }
  }
  return out_TD;
}

}  // namespace moelab::worker
