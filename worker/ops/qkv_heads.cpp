// Shapes: B sequences, L positions, T = B*L, D model width, H query heads, G key/value heads, C head width.
#include "worker/ops/qkv_heads.h"

#include "worker/ops/rms_norm.h"

namespace moelab::worker {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

class QkvHeads : public torch::autograd::Function<QkvHeads> {
 public:
  static variable_list forward(AutogradContext* ctx, const Variable& x_TD, const Variable& wq, const Variable& wk, const Variable& wv,
                               const Variable& cos, const Variable& sin, std::int64_t batch, std::int64_t head_dim) {
    ctx->save_for_backward({x_TD, wq, wk, wv, cos, sin});
    const RopeTable table{cos, sin};
    const auto project = [&](const Variable& weight, const RopeTable& rotation) {
      return heads_from_rows(at::mm(x_TD, weight.t()), batch, weight.size(0) / head_dim, rotation);
    };
    return {project(wq, table), project(wk, table), project(wv, {})};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto& x_TD = saved[0];
    const RopeTable table{saved[4], saved[5]};
    Variable grad_x;
    variable_list result(8);
    for (std::size_t i = 0; i < 3; ++i) {
      const auto grad_rows = rows_from_heads(gradients[i], i < 2 ? table : RopeTable{});
      const auto& weight = saved[i + 1];
      if (ctx->needs_input_grad(i + 1)) result[i + 1] = at::mm(grad_rows.t(), x_TD);  // else the weight is frozen
      if (grad_x.defined()) {
        grad_x.addmm_(grad_rows, weight);
      } else {
        grad_x = at::mm(grad_rows, weight);
      }
    }
    result[0] = grad_x;
    return result;
  }
};

class MoveToHeads : public torch::autograd::Function<MoveToHeads> {
 public:
  // An autograd node takes no undefined input, so empty tables stand for "no rotation".
  static Variable forward(AutogradContext* ctx, const Variable& rows_TX, const Variable& cos, const Variable& sin, std::int64_t batch,
                          std::int64_t head_dim) {
    ctx->save_for_backward({cos, sin});
    return heads_from_rows(rows_TX, batch, rows_TX.size(1) / head_dim, table_of(cos, sin));
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    return {rows_from_heads(gradients[0], table_of(saved[0], saved[1])), Variable(), Variable(), Variable(), Variable()};
  }

 private:
  static RopeTable table_of(const Variable& cos, const Variable& sin) { return cos.numel() > 0 ? RopeTable{cos, sin} : RopeTable{}; }
};

}  // namespace

Heads normed_qkv_heads(const torch::Tensor& x_TD, const QkvWeights& weights, const QkNormWeights& norms, std::int64_t batch,
                       std::int64_t head_dim, const RopeTable& table) {
  const auto normed = [&](const torch::Tensor& weight, const torch::Tensor& norm) {
    // One row a normalised group: a head, or all heads of a token.
    const auto rows = torch::linear(x_TD, weight).to(norm.scalar_type()).view({-1, norm.size(0)});
    const auto out = add_rms_norm(rows, {}, norm, norms.eps, x_TD.scalar_type()).normed_TD.view({x_TD.size(0), weight.size(0)});
    return MoveToHeads::apply(out, table.cos, table.sin, batch, head_dim);
  };
  const auto none = torch::empty({0}, table.cos.options());
  return {normed(weights.q, norms.q), normed(weights.k, norms.k),
          MoveToHeads::apply(torch::linear(x_TD, weights.v), none, none, batch, head_dim)};
}

Heads qkv_heads(const torch::Tensor& x_TD, const QkvWeights& weights, std::int64_t batch, std::int64_t head_dim, const RopeTable& table) {
  const auto heads = QkvHeads::apply(x_TD, weights.q, weights.k, weights.v, table.cos, table.sin, batch, head_dim);
  return {heads[0], heads[1], heads[2]};
}

Heads qkv_heads_reference(const torch::Tensor& x_TD, const QkvWeights& weights, std::int64_t batch, std::int64_t head_dim,
                          const RopeTable& table) {
  const auto length = x_TD.size(0) / batch;
  const auto project = [&](const torch::Tensor& weight) {
    return torch::linear(x_TD, weight).view({batch, length, weight.size(0) / head_dim, head_dim}).transpose(1, 2);
  };
  return {rotate_reference(project(weights.q), table), rotate_reference(project(weights.k), table), project(weights.v)};
}

}  // namespace moelab::worker
