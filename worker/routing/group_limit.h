// Owns group-limited choice: a token may use the experts of its M best groups only (DeepSeek-V2, arXiv 2405.04434, section
// 2.2.2; DeepSeek-V3). Called by routing strategies. Shapes: T tokens, E experts in G groups of neighbours.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "core/config.h"

namespace moelab::worker {

struct GroupLimit {
  std::int64_t groups = 1;                         // G, divides E
  std::int64_t allowed = 1;                        // M, 1..G
  core::GroupScore score = core::GroupScore::max;  // top2sum needs E / G >= 2
};

// selection_TE with -inf at every expert outside the token's M best groups. A group's score is its best selection score, or the
// sum of its two best; equal groups go to the lower index. G = M returns the input itself. No gradient.
torch::Tensor limit_to_groups(const torch::Tensor& selection_TE, const GroupLimit& limit);

}  // namespace moelab::worker
