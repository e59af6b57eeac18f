// Owns expert capacity: how many assignments an expert may take in one micro-batch, and which ones it keeps.
// Called by routing strategies. Shapes: T tokens, E experts, K choices.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "core/config.h"

namespace moelab::worker {

// max(min_capacity, floor(factor * T * K / E)), in assignments of one expert and one micro-batch. Precondition: factor > 0.
std::int64_t expert_capacity(double factor, std::int64_t tokens, std::int64_t active, std::int64_t experts, std::int64_t min_capacity);

// Which assignments survive: bool [T, K], false = dropped; at most `capacity` per expert.
//   score    an expert keeps its assignments with the highest own selection score (score + bias); equal scores by token order
//   position first all slot-0 assignments in token order, then slot 1, ... (GShard, Switch)
// selection_TE is what the choice was ranked by; it is read by `score` only. Undefined when capacity >= T: a token never
// names an expert twice, so nothing can be dropped.
torch::Tensor keep_within_capacity(const torch::Tensor& expert_TK, const torch::Tensor& selection_TE, std::int64_t capacity,
                                   core::DropPolicy policy);

}  // namespace moelab::worker
