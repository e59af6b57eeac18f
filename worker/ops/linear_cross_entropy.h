// Owns the language-model head with its loss: logits and cross-entropy in chunks of rows. Called by model/language_model.
// Shapes: T tokens, D model width, V vocabulary.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace moelab::worker {

struct CrossEntropy {
  torch::Tensor scaled;  // fp32 scalar: scale * sum over valid targets of -log p(target); with gradient
  torch::Tensor sum;     // fp64 scalar, detached: the same sum unscaled, in nats
  torch::Tensor nll_T;   // fp64 [T], detached: its terms, 0 where there is no target
};

// x_TD and weight_VD in the compute type; target_T int64, `ignored` = no target. Log-softmax in fp32. Only one chunk of
// logits exists at a time, and it is turned into its own gradient in place, so logits are neither kept nor computed twice.
// When nothing requires a gradient only the loss is computed.
CrossEntropy linear_cross_entropy(const torch::Tensor& x_TD, const torch::Tensor& weight_VD, const torch::Tensor& target_T, double scale,
                                  std::int64_t ignored);

// The formula in plain autograd operations, for tests.
CrossEntropy linear_cross_entropy_reference(const torch::Tensor& x_TD, const torch::Tensor& weight_VD, const torch::Tensor& target_T,
                                            double scale, std::int64_t ignored);

}  // namespace moelab::worker
