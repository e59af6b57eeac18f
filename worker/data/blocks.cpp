#include "worker/data/blocks.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace moelab::worker {

struct Blocks::Mix {
  std::vector<std::string> domains;
  std::vector<Blocks> parts;
  std::vector<BlockPlace> places;
};

Blocks::Blocks(TokenArray tokens, std::int64_t block_size, BlockRule rule)
    : tokens_(std::move(tokens)), block_size_(block_size), rule_(rule) {
  const std::int64_t usable = tokens_.size() - (rule == BlockRule::with_next_token ? 1 : 0);
  count_ = std::max<std::int64_t>(usable / block_size, 0);
}

Blocks::Blocks(std::vector<std::string> domains, std::vector<Blocks> parts, std::vector<BlockPlace> places)
    : block_size_(parts.front().block_size_), rule_(parts.front().rule_), count_(static_cast<std::int64_t>(places.size())) {
  assert(domains.size() == parts.size());
  mix_ = std::make_shared<const Mix>(Mix{std::move(domains), std::move(parts), std::move(places)});
}

const std::vector<std::string>& Blocks::domains() const {
  static const std::vector<std::string> kNone;
  return mix_ ? mix_->domains : kNone;
}

std::int64_t Blocks::domain(std::int64_t block) const {
  assert(mix_ && block >= 0 && block < count_);
  return mix_->places[static_cast<std::size_t>(first_ + block)].domain;
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
  if (mix_) {
    const BlockPlace& place = mix_->places[static_cast<std::size_t>(first_ + block)];
    return mix_->parts[static_cast<std::size_t>(place.domain)].read(place.block, ids, targets);
  }
  const std::int64_t begin = (first_ + block) * block_size_;
  tokens_.copy(begin, block_size_, ids);
  tokens_.copy(begin + 1, targets_per_block(), targets);
  if (rule_ == BlockRule::within_block) targets[block_size_ - 1] = kNoTarget;
}

}  // namespace moelab::worker
