#include "worker/model/experts.h"

#include "worker/ops/moe_experts.h"

namespace moelab::worker {

Experts::Experts(const core::ModelShape& shape) {
  gate_up_EDX_ = register_parameter("gate_up", torch::zeros({shape.experts, shape.hidden, 2 * shape.expert_width}));
  down_EfD_ = register_parameter("down", torch::zeros({shape.experts, shape.expert_width, shape.hidden}));
}

torch::Tensor Experts::forward(const torch::Tensor& x_TD, const Route& route) const {
  const auto type = x_TD.scalar_type();
  return moe_experts({.x_TD = x_TD,
                      .expert_TK = route.expert_TK,
                      .weight_TK = route.weight_TK,
                      .keep_TK = route.keep_TK,
                      .gate_up_EDX = gate_up_EDX_.to(type),
                      .down_EfD = down_EfD_.to(type)});
}

}  // namespace moelab::worker
