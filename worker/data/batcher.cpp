#include "worker/data/batcher.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

#include "worker/data/portable_random.h"

namespace moelab::worker {

Batcher::Batcher(Blocks blocks, bool shuffle, std::uint64_t seed) : blocks_(std::move(blocks)), shuffle_(shuffle), seed_(seed) {
  assert(blocks_.size() > 0);
}

void Batcher::seek(std::int64_t position) {
  assert(position >= 0);
  position_ = position;
}

void Batcher::load_order(std::int64_t epoch) {
  order_epoch_ = epoch;
  order_ = permutation(blocks_.size(), seed_, RandomStream::block_order, static_cast<std::uint64_t>(epoch));
}

Batch Batcher::next(std::int64_t sequences) {
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < sequences; ++i, ++position_) {
    const std::int64_t within = position_ % blocks_.size();
    if (shuffle_ && position_ / blocks_.size() != order_epoch_) load_order(position_ / blocks_.size());
    ids.push_back(shuffle_ ? order_[static_cast<std::size_t>(within)] : within);
  }
  return read(ids);
}

Batch Batcher::in_order(std::int64_t first, std::int64_t sequences) const {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(std::min(sequences, blocks_.size() - first)));
  std::iota(ids.begin(), ids.end(), first);
  return read(ids);
}

Batch Batcher::read(const std::vector<std::int64_t>& block_ids) const {
  const auto rows = static_cast<std::int64_t>(block_ids.size());
  const std::int64_t length = blocks_.block_size();
  Batch batch;
  batch.ids_BL = torch::empty({rows, length}, torch::kInt64);
  batch.targets_BL = torch::empty({rows, length}, torch::kInt64);
  batch.targets = rows * blocks_.targets_per_block();
  auto* ids = batch.ids_BL.data_ptr<std::int64_t>();
  auto* targets = batch.targets_BL.data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < rows; ++row) {
    blocks_.read(block_ids[static_cast<std::size_t>(row)], ids + row * length, targets + row * length);
  }
  if (blocks_.domains().empty()) return batch;
  batch.domain_B = torch::empty({rows}, torch::kInt64);
  auto* domains = batch.domain_B.data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < rows; ++row) domains[row] = blocks_.domain(block_ids[static_cast<std::size_t>(row)]);
  return batch;
}

}  // namespace moelab::worker
