#include "core/cost_model.h"

#include "core/model_shape.h"

namespace moelab::core {
namespace {

struct Sums {
  std::int64_t total = 0, active = 0;  // parameters
  std::int64_t active_matmul = 0;
  double kept = 0;  // activations of one token kept for the backward pass
};

Sums sum_layers(const ModelShape& s) {
  Sums sums;
  const std::int64_t attention = s.hidden * s.head_dim * (2 * s.heads + 2 * s.kv_heads);
  for (const bool is_moe : s.moe_layer) {
    const std::int64_t expert = 3 * s.hidden * s.expert_width;
    const std::int64_t shared = 3 * s.hidden * s.shared_width * s.shared;
    const std::int64_t router = s.learned_router ? s.experts * s.hidden : 0;
    const std::int64_t noise = s.router_noise_matrix ? router : 0;  // training only: part of the total, of no token's path
    const std::int64_t norms = 2 * s.hidden + s.query_norm + s.key_norm;
    const std::int64_t dense = 3 * s.hidden * s.dense_width;
    const std::int64_t active_ffn = is_moe ? expert * s.active + shared + router : dense;
    sums.total += norms + attention + (is_moe ? expert * s.experts + shared + router + noise : dense);
    sums.active += norms + attention + active_ffn;
    sums.active_matmul += attention + active_ffn;
    const std::int64_t width = is_moe ? s.active * s.expert_width + s.shared * s.shared_width : s.dense_width;
    sums.kept += static_cast<double>(4 * s.hidden + 2 * s.head_dim * (s.heads + s.kv_heads) + 3 * width);
  }
  // A prediction module joins two normed streams, runs a dense block and norms its output. It is gone after training.
  sums.total += s.mtp_depth * (3 * s.hidden + 2 * s.hidden * s.hidden + 2 * s.hidden + s.query_norm + s.key_norm + attention +
                               3 * s.hidden * s.dense_width);
  return sums;
}

}  // namespace

Cost estimate_cost(const RunConfig& config) {
  const ModelShape shape = model_shape(config);
  const Sums layers = sum_layers(shape);
  const std::int64_t table = shape.vocab * shape.hidden;
  const std::int64_t outside = (config.model.tie_word_embeddings ? 1 : 2) * table + shape.hidden;

  Cost cost;
  cost.total_parameters = outside + layers.total;
  cost.active_parameters = outside + layers.active;
  const auto block = static_cast<double>(config.data.block_size);
  const double attention = static_cast<double>(shape.layers * shape.heads * shape.head_dim) * (block + 1);
  cost.flops_per_token = 6.0 * static_cast<double>(table + layers.active_matmul) + 6.0 * attention;
  cost.tokens_per_step = config.train.batch_size * config.data.block_size;
  if (config.train.max_steps) {
    // In double first: a step count meant as "without end" must not overflow.
    const double tokens = static_cast<double>(*config.train.max_steps) * static_cast<double>(cost.tokens_per_step);
    if (tokens <= kMaxInt) cost.tokens = *config.train.max_steps * cost.tokens_per_step;
    cost.flops = cost.flops_per_token * tokens;
  }

  const bool bf16 = config.train.precision == Precision::bf16;
  const double micro_batch_tokens = static_cast<double>(cost.tokens_per_step / config.train.grad_accum);
  cost.memory_bytes = (bf16 ? 18.0 : 16.0) * static_cast<double>(cost.total_parameters) +
                      (bf16 ? 2.0 : 4.0) * micro_batch_tokens * layers.kept + 8.0 * micro_batch_tokens * static_cast<double>(shape.vocab);
  return cost;
}

nlohmann::json to_json(const Cost& cost) {
  return {{"total_parameters", cost.total_parameters},
          {"active_parameters", cost.active_parameters},
          {"flops_per_token", cost.flops_per_token},
          {"tokens_per_step", cost.tokens_per_step},
          {"tokens", cost.tokens ? nlohmann::json(*cost.tokens) : nlohmann::json()},
          {"flops", cost.flops ? nlohmann::json(*cost.flops) : nlohmann::json()},
          {"memory_bytes", cost.memory_bytes}};
}

}  // namespace moelab::core
