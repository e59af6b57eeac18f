// Owns the training noise of token choice. Called by token_choice. Shapes: T tokens, D model width, E experts.
#pragma once

#include <torch/torch.h>

#include "core/config.h"
#include "worker/routing/router.h"

namespace moelab::worker {

// Standard deviation of annealed noise: noise_std * max(0, 1 - step / A), A = floor(noise_anneal_frac * max_steps); 0 when A = 0
// (moe-emergence).
double annealed_std(const core::MoeConfig& moe, const StepPosition& position);

// N(0, I) of the shape, type and device of `like`, drawn on the CPU so that every device sees the same numbers.
torch::Tensor normal_noise(const torch::Tensor& like, at::Generator generator);

// x * U(1 - eps, 1 + eps), elementwise (Switch Transformer, arXiv 2101.03961).
torch::Tensor jittered(const torch::Tensor& x_TD, double eps, at::Generator generator);

}  // namespace moelab::worker
