// Owns the choice of the K best experts of every token and the counting of those choices. Called by routing strategies.
// Shapes: T tokens, E experts, K choices.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace moelab::worker {

// The indices of the `k` largest entries of each row, best first: int64 [T, K] on the device of `selection_TE`.
// Equal entries go to the lower index and NaN ranks below everything, so that the choice is the same on every run and
// device and always names `k` distinct experts; torch.topk promises neither. `selection_TE` is float or double, no
// gradient flows through the choice. Precondition: 1 <= k <= E.
torch::Tensor select_top_k(const torch::Tensor& selection_TE, std::int64_t k);

// The same by a stable descending sort: runs on any device, and is what the CPU loop of select_top_k is tested against.
torch::Tensor select_top_k_by_sort(const torch::Tensor& selection_TE, std::int64_t k);

// int64 [K, E]: how often slot k names expert e. No host synchronisation.
torch::Tensor count_assignments(const torch::Tensor& expert_TK, std::int64_t experts);

}  // namespace moelab::worker
