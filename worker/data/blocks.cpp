#include "worker/data/blocks.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace moelab::worker {

Blocks::Blocks(TokenArray tokens, std::int64_t block_size, BlockRule rule)
    : tokens_(std::move(tokens)), block_size_(block_size), rule_(rule) {
  const std::int64_t usable = tokens_.size() - (rule == BlockRule::with_next_token ? 1 : 0);
  count_ = std::max<std::int64_t>(usable / block_size, 0);
}

Blocks Blocks::slice(std::int64_t first, std::int64_t count) const {
  assert(first >= 0 && count >= 0 && first + count <= count_);
  Blocks part = *this;
  part.first_ += first;
  part.count_ = count;
  return part;
}

void Blocks::read(std::int64_t block, std::int64_t* ids, std::int64_t* targets) const {
  assert(block >= 0 && block < count_);
  const std::int64_t begin = (first_ + block) * block_size_;
  tokens_.copy(begin, block_size_, ids);
  tokens_.copy(begin + 1, targets_per_block(), targets);
  if (rule_ == BlockRule::within_block) targets[block_size_ - 1] = kNoTarget;
}

}  // namespace moelab::worker
