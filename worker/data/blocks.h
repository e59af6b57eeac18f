// Owns how a flat token sequence becomes training sequences of L tokens and their targets. Read by the batcher.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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

// Where a block of several domains comes from.
struct BlockPlace {
  std::int64_t domain = 0, block = 0;
  bool operator==(const BlockPlace&) const = default;
};

class Blocks {
 public:
  Blocks() = default;
  // All blocks that fit. There may be none.
  Blocks(TokenArray tokens, std::int64_t block_size, BlockRule rule);
  // Blocks of several domains as one sequence: block i is parts[places[i].domain]'s block places[i].block. One part a
  // domain, all of one block size and rule. worker/data/domain_mix.h makes the places.
  Blocks(std::vector<std::string> domains, std::vector<Blocks> parts, std::vector<BlockPlace> places);
  // Blocks [first, first + count) of these.
  Blocks slice(std::int64_t first, std::int64_t count) const;

  std::int64_t size() const { return count_; }
  std::int64_t block_size() const { return block_size_; }
  std::int64_t targets_per_block() const { return rule_ == BlockRule::within_block ? block_size_ - 1 : block_size_; }
  // Names of the domains; empty when the blocks have none.
  const std::vector<std::string>& domains() const;
  // Index into domains(), which are not empty.
  std::int64_t domain(std::int64_t block) const;
  // Writes L ids and L targets; a position without a target gets kNoTarget.
  void read(std::int64_t block, std::int64_t* ids, std::int64_t* targets) const;

 private:
  struct Mix;

  std::shared_ptr<const Mix> mix_;  // null: the blocks are cut from tokens_
  TokenArray tokens_;
  std::int64_t block_size_ = 0;
  BlockRule rule_ = BlockRule::within_block;
  std::int64_t first_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace moelab::worker
