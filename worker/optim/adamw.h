// Owns AdamW (Loshchilov & Hutter, arXiv 1711.05101) over a model's parameters: parameter groups, clipping by the global
// gradient norm, the moments and their names in checkpoints. One fused pass per tensor. Called by the trainer.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/config.h"

namespace moelab::worker {

class AdamW {
 public:
  // Parameters are taken in named_parameters() order; moments start at zero on each parameter's device, in fp32.
  // A parameter that requires no gradient is frozen: it has no moments and is never touched.
  // Decoupled weight decay applies to tensors of two or more dimensions (matrices, embeddings, stacked experts), never to norms.
  AdamW(const torch::nn::Module& model, const core::TrainConfig& train);

  // L2 norm over all gradients, fp32 per tensor, one host synchronisation. A parameter without gradient counts as zero.
  double gradient_norm() const;

  // One update with learning rate `lr`. Gradients are first multiplied by min(1, grad_clip / (norm + 1e-6)), the rule of
  // torch.nn.utils.clip_grad_norm_; `norm` is what gradient_norm() returned. grad_clip = 0 never clips. A parameter
  // without gradient is not touched. Gradients hold unspecified values afterwards: call zero_grad() before the next backward.
  void step(double lr, double norm);
  void zero_grad();

  // Updates done so far.
  std::int64_t steps() const;

  // Everything that decides the next update, under stable names: "adamw.step" (fp32 [1]), "adamw.m.<parameter>",
  // "adamw.v.<parameter>". The tensors are the live ones: copying into them restores a checkpoint bit for bit.
  const std::vector<std::pair<std::string, torch::Tensor>>& state() const { return state_; }

 private:
  struct Group {
    double weight_decay = 0;
    std::vector<torch::Tensor> parameters, first_moments, second_moments;
  };
  Group groups_[2];  // without and with decay
  std::vector<std::pair<std::string, torch::Tensor>> state_;
  torch::Tensor step_;
  core::TrainConfig train_;
};

}  // namespace moelab::worker
