// Owns how a flat token sequence becomes training sequences of L tokens and their targets. Read by the batcher.
#pragma once

#include <cstdint>

#include "worker/data/token_array.h"

namespace moelab::worker {

// Marks a position without a target; the model ignores it (LanguageModel's kIgnoredTarget, checked by the trainer).
inline constexpr std::int64_t kNoTarget = -100;

enum class BlockRule {
  // Text corpora. Block i is tokens [i*L, i*L + L); position j predicts the next token of the same block, so the last
  // position has no target: L - 1 targets, as Transformers' shifted labels have. A tail shorter than L is not used.
  within_block,
  // Token files. Inputs as above, but the window has one token more, [i*L, i*L + L + 1): all L positions have a target.
  with_next_token,
};

class Blocks {
 public:
  Blocks() = default;
  // All blocks that fit. There may be none.
  Blocks(TokenArray tokens, std::int64_t block_size, BlockRule rule);
  // Blocks [first, first + count) of these.
  Blocks slice(std::int64_t first, std::int64_t count) const;

  std::int64_t size() const { return count_; }
  std::int64_t block_size() const { return block_size_; }
  std::int64_t targets_per_block() const { return rule_ == BlockRule::within_block ? block_size_ - 1 : block_size_; }
  // Writes L ids and L targets; a position without a target gets kNoTarget.
  void read(std::int64_t block, std::int64_t* ids, std::int64_t* targets) const;

 private:
  TokenArray tokens_;
  std::int64_t block_size_ = 0;
  BlockRule rule_ = BlockRule::within_block;
  std::int64_t first_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace moelab::worker
