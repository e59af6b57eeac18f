// Owns causal softmax attention with grouped key/value heads. Called by model/attention.
// Shapes: B sequences, L positions, T = B*L, H query heads, G key/value heads (H a multiple of G), C head width.
#pragma once

#include <torch/torch.h>

#include "worker/ops/qkv_heads.h"

namespace moelab::worker {

// Rows [T, H*C] of softmax(q k^T / sqrt(C) + causal mask) v; query head h reads key/value head floor(h / (H/G)).
// On the CPU in fp32: blocks of query rows against all keys up to them as batched matrix products, so that a third of the
// products are never computed, key/value heads are never repeated, and only a few megabytes of scores exist at a time; the
// backward pass recomputes them from the saved log-sum-exp (Dao, arXiv 2307.08691). Elsewhere LibTorch's own attention.
torch::Tensor causal_attention(const Heads& heads);

// The same for the last M of U tokens of one sequence: q [1, H, M, C] against keys and values [1, G, U, C] of all U, so that
// query row i sees keys 0..U-M+i. Rows [M, H*C]; softmax in fp32, or double in a double model. Without gradient: for generation.
torch::Tensor cached_attention(const Heads& heads);

// The formula in plain autograd operations, for tests.
torch::Tensor causal_attention_reference(const Heads& heads);

}  // namespace moelab::worker
