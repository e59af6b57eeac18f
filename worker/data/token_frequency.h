// Owns counting how often each token id occurs in training data. Called by train_run for balanced hash routing.
#pragma once

#include <torch/torch.h>

#include "worker/data/blocks.h"

namespace moelab::worker {

// int64 [vocab]: occurrences among the inputs of all blocks. One pass over the data. Ids must be below `vocab`.
torch::Tensor token_frequency(const Blocks& blocks, std::int64_t vocab);

}  // namespace moelab::worker
