// Owns the best assignment of tokens to equally loaded experts. Called by base. Shapes: T tokens, E experts.
#pragma once

#include <torch/torch.h>

namespace moelab::worker {

// int64 [T] on the device of `score_TE`: the expert of each token, so that every expert gets floor(T/E) or ceil(T/E) tokens and the
// sum of score[t, expert[t]] is the largest possible. Exact: tokens come one after another, each along the best augmenting path over
// the experts (successive shortest paths; sources in BASE layers, Lewis et al., arXiv 2103.16716, use an auction).
// Computed on the CPU in fp64: O(T (E^2 + path) log T). Scores must be finite. Equal solutions: always the same one.
torch::Tensor balanced_assignment(const torch::Tensor& score_TE);

}  // namespace moelab::worker
