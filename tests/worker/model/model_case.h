// Owns the small models and batches that the model's tests share.
#pragma once

#include <torch/torch.h>

#include <map>
#include <string>

#include "core/config.h"
#include "worker/model/language_model.h"

namespace moelab::worker::test {

inline core::RunConfig small_config() {
  core::RunConfig config;
  config.seed = 3;
  config.model.vocab_size = 61;
  config.model.hidden_size = 24;
  config.model.num_hidden_layers = 2;
  config.model.num_attention_heads = 4;
  config.model.intermediate_size = 40;
  // Larger than in a real run, so that routers, gates and attention are far from their linear start.
  config.model.initializer_range = 0.3;
  config.data.block_size = 16;
  config.train.precision = core::Precision::fp32;
  return config;
}

inline core::RunConfig moe_config(std::int64_t experts, std::int64_t active) {
  auto config = small_config();
  config.moe.num_experts = experts;
  config.moe.num_active_experts = active;
  config.moe.moe_intermediate_size = 12;
  return config;
}

struct Batch {
  torch::Tensor ids_BL, targets_BL;
};

inline Batch small_batch(std::int64_t vocab, std::int64_t batch = 2, std::int64_t length = 11) {
  torch::manual_seed(17);
  const auto stream = torch::randint(vocab, {batch, length + 1}, torch::kInt64);
  auto targets = stream.slice(1, 1).contiguous();
  targets[0][3] = kIgnoredTarget;
  return {stream.slice(1, 0, length).contiguous(), targets};
}

// Every parameter (fresh leaves) and buffer of a model by name, in double.
inline std::map<std::string, torch::Tensor> double_weights(const LanguageModel& model) {
  std::map<std::string, torch::Tensor> weights;
  for (const auto& item : model.named_parameters())
    weights[item.key()] = item.value().detach().to(torch::kFloat64).clone().requires_grad_();
  for (const auto& item : model.named_buffers()) weights[item.key()] = item.value().detach().to(torch::kFloat64).clone();
  return weights;
}

// max |a - b| relative to the largest entry of b.
inline double relative_difference(const torch::Tensor& a, const torch::Tensor& b) {
  const auto wide = b.detach().to(torch::kFloat64);
  return ((a.detach().to(torch::kFloat64) - wide).abs().max() / (wide.abs().max() + 1e-12)).item<double>();
}

}  // namespace moelab::worker::test
