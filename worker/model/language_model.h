// Owns Moedl, the Llama-style decoder whose FFNs may be mixtures of experts. Used by the trainer, generation, interop.
// Shapes: B sequences, L positions, V vocabulary, T = B*L.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/model_shape.h"
#include "worker/model/kv_cache.h"
#include "worker/routing/route.h"
#include "worker/routing/router.h"

namespace moelab::worker {

inline constexpr std::int64_t kIgnoredTarget = -100;

struct LossOptions {
  double ce_scale = 0;         // multiplies the summed cross-entropy: 1 / valid targets of the whole optimiser step; 0 = of this batch
  double aux_scale = 1;        // multiplies the auxiliary losses: 1 / grad_accum
  StepPosition position = {};  // training only: what random routing choices are a function of
  std::optional<double> reward_baseline = {};  // of REINFORCE; empty = the mean reward of the batch
  bool leaky = false;                          // evaluation only: routing may look at later tokens (expert choice over the pooled batch)
};

struct BatchLoss {
  torch::Tensor total;   // scalar, fp32; with gradient in training mode
  torch::Tensor ce_sum;  // scalar, fp64, detached: cross-entropy summed over the valid targets, nats
  torch::Tensor nll_T;   // fp64 [T], detached: cross-entropy of each target, 0 where there is none
  std::int64_t targets = 0;
  std::map<std::string, torch::Tensor> aux;  // auxiliary losses by name (lb_loss, ...): scalars, detached, unscaled
  torch::Tensor mean_reward;                 // of REINFORCE, fp64 scalar; undefined otherwise
  std::vector<Route> routes;                 // one per MoE layer, detached
};

class LanguageModel : public torch::nn::Module {
 public:
  // Weights are drawn from `config.seed` alone, by initial_draw.h: the parameters in the order of named_parameters(), which is
  // embed_tokens, layers.0 (norm_attn, attn.{q,k,v,o}, attn.{q,k}_norm, norm_mlp, then mlp.{gate,up,down}, or moe.router,
  // moe.experts.gate_up, moe.experts.down, moe.shared.{gate,up,down}), layers.1, ..., norm, lm_head,
  // mtp.
  explicit LanguageModel(const core::RunConfig& config);
  ~LanguageModel() override;

  // ids_BL, targets_BL: int64 [B, L] on the model's device; targets are already shifted, kIgnoredTarget = no target.
  // Uses train()/eval() mode for capacity. Never materialises more logits than it must.
  BatchLoss loss(const torch::Tensor& ids_BL, const torch::Tensor& targets_BL, const LossOptions& options);

  // fp32 logits [B, L, V] of the whole input, without gradient when called under NoGradGuard. Dropless.
  torch::Tensor logits(const torch::Tensor& ids_BL);

  // int64 [V]: how often each id occurs in the training data; balanced hash routing makes its tables from it. Before training only.
  void set_token_frequency(const torch::Tensor& frequency_V);

  // For generation, one further token (or a whole prompt) at a time: an empty cache for `sequences` texts of up to `capacity`
  // tokens, at most model.max_position_embeddings.
  KvCache make_cache(std::int64_t sequences, std::int64_t capacity) const;

  // New tokens of a text, at least one, that follow what the cache holds of it.
  struct NewTokens {
    std::int64_t sequence = 0;
    std::vector<std::int64_t> ids;
  };
  // fp32 logits [texts, V] after the last new token of each text; the cache then holds the new tokens too. Equal to the last
  // row of logits() of each whole text but for rounding, whatever the other texts are. Without gradient; dropless. Throws
  // Error(config) when a text grows beyond the capacity, with nothing changed.
  torch::Tensor next_logits(const std::vector<NewTokens>& texts, KvCache& cache);

  // Expert biases of the MoE layers in layer order; empty without bias control.
  std::vector<torch::Tensor> expert_biases();
  const core::ModelShape& shape() const;
  const core::RunConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Parameter and buffer names (named_parameters(), named_buffers(); also the names in checkpoints). Linear weights are
// [out, in]; experts are stacked in the layout the grouped GEMM wants.
//   embed_tokens.weight [V, D]      norm.weight [D]      lm_head.weight [V, D] (absent when tied)
//   layers.{i}.norm_attn.weight [D] layers.{i}.norm_mlp.weight [D]
//   layers.{i}.attn.{q,k,v,o}.weight, with qk_norm layers.{i}.attn.{q,k}_norm.weight [C], or [H*C] and [G*C]
//   dense:  layers.{i}.mlp.{gate,up}.weight [F, D], layers.{i}.mlp.down.weight [D, F]
//   MoE:    layers.{i}.moe.router.weight [E, D], layers.{i}.moe.router.bias [E] (buffer)
//           layers.{i}.moe.experts.gate_up [E, D, 2f] (gate columns first), layers.{i}.moe.experts.down [E, f, D]
//           layers.{i}.moe.shared.{gate,up,down}.weight, S shared experts fused to width S*f_s
//   mtp.{k}.norm_hidden.weight [D], .norm_embed.weight [D], .project.weight [D, 2D], .block.* (a dense layer), .norm.weight [D]
//   hash routing has no router.weight but layers.{i}.moe.router.table (int64 buffer [V, K]); learned noise has router.noise [E, D]
}  // namespace moelab::worker
