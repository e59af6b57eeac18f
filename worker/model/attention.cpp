#include "worker/model/attention.h"

#include "worker/ops/causal_attention.h"
#include "worker/ops/qkv_heads.h"

namespace moelab::worker {

Attention::Attention(const core::ModelShape& shape, double eps) : head_dim_(shape.head_dim), eps_(eps) {
  const auto query_width = shape.heads * shape.head_dim, key_width = shape.kv_heads * shape.head_dim;
  q_ = register_module("q", std::make_shared<Weight>(torch::IntArrayRef{query_width, shape.hidden}));
  k_ = register_module("k", std::make_shared<Weight>(torch::IntArrayRef{key_width, shape.hidden}));
  v_ = register_module("v", std::make_shared<Weight>(torch::IntArrayRef{key_width, shape.hidden}));
  o_ = register_module("o", std::make_shared<Weight>(torch::IntArrayRef{shape.hidden, query_width}));
  if (shape.query_norm == 0) return;
  q_norm_ = register_module("q_norm", std::make_shared<Weight>(torch::IntArrayRef{shape.query_norm}));
  k_norm_ = register_module("k_norm", std::make_shared<Weight>(torch::IntArrayRef{shape.key_norm}));
}

Heads Attention::heads(const torch::Tensor& x_TD, std::int64_t batch, const RopeTable& rope) const {
  const auto type = x_TD.scalar_type();
  const QkvWeights weights{q_->as(type), k_->as(type), v_->as(type)};
  return q_norm_ ? normed_qkv_heads(x_TD, weights, {q_norm_->value, k_norm_->value, eps_}, batch, head_dim_, rope)
                 : qkv_heads(x_TD, weights, batch, head_dim_, rope);
}

torch::Tensor Attention::forward(const torch::Tensor& x_TD, std::int64_t batch, const RopeTable& rope) const {
  return torch::linear(causal_attention(heads(x_TD, batch, rope)), o_->as(x_TD.scalar_type()));
}

torch::Tensor Attention::forward(const torch::Tensor& x_TD, const RopeTable& rope_T, const std::vector<CacheSpan>& spans,
                                 std::int64_t layer, KvCache& cache) const {
  // To the projections all rows are one sequence, whose table has a row for each of them.
  const Heads all = heads(x_TD, 1, rope_T);
  std::vector<torch::Tensor> attended;
  for (const CacheSpan& span : spans) {
    const auto own = [&](const torch::Tensor& heads_BHLC) { return heads_BHLC.narrow(2, span.first_row, span.rows); };
    const auto [k_GUC, v_GUC] = cache.append(layer, span.sequence, own(all.k_BGLC)[0], own(all.v_BGLC)[0]);
    attended.push_back(cached_attention({own(all.q_BHLC), k_GUC.unsqueeze(0), v_GUC.unsqueeze(0)}));
  }
  return torch::linear(torch::cat(attended), o_->as(x_TD.scalar_type()));
}

}  // namespace moelab::worker
