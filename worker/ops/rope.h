// Owns rotary position embeddings and the change between rows of tokens and heads of sequences. Called by ops/qkv_heads.
// Shapes: B sequences, L positions, T = B*L, H heads, C head width.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace moelab::worker {

// Tables of RoPE (Su et al., arXiv 2104.09864) in the half-split pairing of Llama: dimension j turns with j + C/2 by the
// angle position * theta^(-2j/C). Both are [L, C/2], fp32 unless a double model asks for more.
struct RopeTable {
  torch::Tensor cos, sin;
};
RopeTable rope_table(std::int64_t positions, std::int64_t head_dim, double theta, const torch::TensorOptions& options);

// Rows [T, H*C] to heads [B, H, L, C], contiguous; `table` undefined only moves, defined also rotates by the position.
torch::Tensor heads_from_rows(const torch::Tensor& rows_TX, std::int64_t batch, std::int64_t heads, const RopeTable& table);

// The inverse (and so the gradient): heads [B, H, L, C] back to rows [T, H*C], rotated by minus the position.
torch::Tensor rows_from_heads(const torch::Tensor& heads_BHLC, const RopeTable& table);

// Rotation alone, in plain operations, for tests: x [..., L, C].
torch::Tensor rotate_reference(const torch::Tensor& x, const RopeTable& table);

}  // namespace moelab::worker
