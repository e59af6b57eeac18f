// Owns the values that follow from a configuration: resolved widths, heads, MoE layers, score and gate choices.
// The cost model and the worker both read them here, so a plan and a training run can never disagree.
#pragma once

#include <cstdint>
#include <vector>

#include "core/config.h"

namespace moelab::core {

struct ModelShape {
  std::int64_t vocab = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t dense_width = 0;      // FFN width of a dense layer
  std::int64_t expert_width = 0;     // f
  std::int64_t shared_width = 0;     // width of ONE shared expert
  std::int64_t experts = 1;          // E
  std::int64_t active = 1;           // K
  std::int64_t groups = 1;           // G, groups of neighbouring experts
  std::int64_t shared = 0;           // S, 0 for a dense model
  std::vector<bool> moe_layer;       // [layers]
  bool sigmoid_scores = false;       // score_fn resolved
  bool normalize_topk = true;        // norm_topk_prob resolved
  bool bias_control = false;         // lb_gamma > 0: every MoE layer carries a bias buffer
  std::int64_t mtp_depth = 0;        // D, extra prediction modules, each a projection and a dense block
  bool learned_router = true;        // MoE layers carry a router matrix (a frozen one counts)
  bool router_noise_matrix = false;  // router_noise learned: a second [E, d] matrix in every MoE layer
  std::int64_t query_norm = 0;       // width of the RMSNorm weights of queries and of keys; 0 = no qk_norm
  std::int64_t key_norm = 0;
  std::int64_t moe_layer_count() const;
};

// `config` must have passed check_config (core/config_check.h); asserts otherwise.
// num_experts = 1 gives a dense model: experts 1, active 1, shared 0, no MoE layer.
ModelShape model_shape(const RunConfig& config);

}  // namespace moelab::core
