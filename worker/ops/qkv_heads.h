// Owns the projections of attention: queries, keys and values as heads, rotated. Called by model/attention.
// Shapes: B sequences, L positions, T = B*L, D model width, H query heads, G key/value heads, C head width.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "worker/ops/rope.h"

namespace moelab::worker {

struct Heads {
  torch::Tensor q_BHLC, k_BGLC, v_BGLC;  // contiguous; q and k rotated by RoPE
};

struct QkvWeights {
  torch::Tensor q, k, v;  // [H*C, D], [G*C, D], [G*C, D], in the type of the input
};

// Three projections, the move to heads and RoPE in one node: the backward pass gathers the three input gradients in one buffer.
Heads qkv_heads(const torch::Tensor& x_TD, const QkvWeights& weights, std::int64_t batch, std::int64_t head_dim, const RopeTable& table);

// RMSNorm of queries and keys before RoPE: weights of width C normalise each head (Qwen3), weights of width H*C and G*C all
// heads at once (OLMoE).
struct QkNormWeights {
  torch::Tensor q, k;  // master weights: the norm runs in their type
  double eps = 0;
};

// As above, with the norms between projection and rotation.
Heads normed_qkv_heads(const torch::Tensor& x_TD, const QkvWeights& weights, const QkNormWeights& norms, std::int64_t batch,
                       std::int64_t head_dim, const RopeTable& table);

// The first form in plain autograd operations, for tests.
Heads qkv_heads_reference(const torch::Tensor& x_TD, const QkvWeights& weights, std::int64_t batch, std::int64_t head_dim,
                          const RopeTable& table);

}  // namespace moelab::worker
