// Owns the random weights a model starts from. Called by language_model when it is built.
#pragma once

#include <torch/torch.h>

#include "core/config.h"

namespace moelab::worker {

// Draws every parameter of `model` in the order of named_parameters() on one CPU generator seeded with config.seed: the same seed
// gives the same bits for any device and number of threads (orthogonal rows: up to the rounding of the machine's LAPACK).
// Norm weights are 1 and draw nothing. Matrices by model.init_scheme, r = initializer_range:
//   normal        N(0, r^2)
//   resid_scaled  N(0, r^2), and the matrices that write to the residual stream (attn.o, every down) with r / sqrt(2 layers)
//                 (GPT-2; nanoMoE)
//   switch        N(0, init_scale / fan_in) cut off at two standard deviations (Switch Transformer, arXiv 2101.03961, section
//                 2.4); fan_in is the width a matrix reads from. The embedding reads none and stays N(0, r^2).
// moe.router_init = orthogonal overrides it for router matrices: orthonormal rows (SimBal, arXiv 2506.14038). BASE starts from
// orthogonal centroids of length 0.1 whatever the scheme (fairseq).
void draw_weights(const torch::nn::Module& model, const core::RunConfig& config);

}  // namespace moelab::worker
