// Owns the attention sub-layer: projections, RoPE, grouped-query causal attention, output projection. Called by block.
// Shapes: B sequences, L positions, T = B*L, D model width, H query heads, G key/value heads, C head width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/model_shape.h"
#include "worker/model/kv_cache.h"
#include "worker/model/weight.h"
#include "worker/ops/qkv_heads.h"
#include "worker/ops/rope.h"

namespace moelab::worker {

class Attention : public torch::nn::Module {
 public:
  // eps: of the norms of queries and keys, which exist when shape.query_norm > 0.
  Attention(const core::ModelShape& shape, double eps);

  // x_TD in the compute type; returns [T, D] in the same type. Positions are 0..L-1 in every sequence.
  torch::Tensor forward(const torch::Tensor& x_TD, std::int64_t batch, const RopeTable& rope) const;

  // The rows of `spans` follow what `cache` holds of their sequences, and see it. rope_T: the table's row of each row's position.
  // Puts their keys and values into the cache as those of `layer`, without advancing it.
  torch::Tensor forward(const torch::Tensor& x_TD, const RopeTable& rope_T, const std::vector<CacheSpan>& spans, std::int64_t layer,
                        KvCache& cache) const;

 private:
  Heads heads(const torch::Tensor& x_TD, std::int64_t batch, const RopeTable& rope) const;

  std::int64_t head_dim_;
  double eps_;
  std::shared_ptr<Weight> q_, k_, v_, o_;
  std::shared_ptr<Weight> q_norm_, k_norm_;  // null without qk_norm
};

}  // namespace moelab::worker
