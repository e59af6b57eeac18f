// Owns what a run costs before it starts: parameters, FLOPs, tokens and memory, all from the configuration alone.
// Called by plan.cpp; the worker reports the same parameter counts, so a plan and a run can be compared.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/config.h"

namespace moelab::core {

struct Cost {
  // Exact. d hidden, V vocabulary, H and KV heads of width h, f / f_s / f_dense widths, E, K, S experts; SwiGLU has 3 matrices:
  //   (tied ? 1 : 2) V d + d + sum over layers [2 d + d h (2 H + 2 KV) + (MoE: 3 d f E + 3 d f_s S + E d | dense: 3 d f_dense)]
  // and with qk_norm the widths of its two norms, with learned router noise another E d, in every layer that has them,
  // and D (5 d + 2 d^2 + attention + 3 d f_dense) for multi-token prediction. A router is absent with hash and fresh random routing.
  // `active` counts K in the place of E in 3 d f E: what one token passes through. Bias buffers are no parameters.
  std::int64_t total_parameters = 0;
  std::int64_t active_parameters = 0;

  // Training FLOPs per token, 2 a multiply-add and the backward pass twice the forward (Kaplan et al. 2020, arXiv:2001.08361):
  //   6 (active matmul parameters) + 6 (layers) (L + 1) H h
  // Matmul parameters are all but the embedding table and the norms; the second term is q k^T and the weighted sum of v under
  // a causal mask, (L + 1) / 2 keys a query on average, L = data.block_size.
  double flops_per_token = 0;

  std::int64_t tokens_per_step = 0;    // train.batch_size x data.block_size
  std::optional<std::int64_t> tokens;  // of the whole run; empty while the corpus decides the number of steps
  std::optional<double> flops;         // flops_per_token x tokens

  // An estimate, in bytes, of device memory in training:
  //   16 a parameter: fp32 weight, gradient and two Adam moments; in bf16 2 more for the copies that matmuls read
  //   + a T sum over layers [4 d + 2 h (H + KV) + 3 w] kept for the backward pass: a = 4 bytes (2 in bf16), T tokens of a
  //     micro-batch, w = K f + S f_s or f_dense; attention scores are recomputed, never kept
  //   + 8 T V for fp32 logits and their gradient
  double memory_bytes = 0;
};

// `config` must have passed check_config.
Cost estimate_cost(const RunConfig& config);

// Keys as in the struct; tokens and flops null when unknown.
nlohmann::json to_json(const Cost& cost);

}  // namespace moelab::core
