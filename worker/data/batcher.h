// Owns the order in which blocks are trained on. Called by the trainer for training micro-batches and by evaluation.
// The order of an epoch is a function of (data.seed, epoch) alone, so a position is all that a checkpoint needs.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "worker/data/blocks.h"

namespace moelab::worker {

struct Batch {
  torch::Tensor ids_BL;      // int64 [B, L], on the CPU
  torch::Tensor targets_BL;  // int64 [B, L], kNoTarget where there is none
  std::int64_t targets = 0;  // valid ones
  torch::Tensor domain_B;    // int64 [B], on the CPU, indices into blocks().domains(); undefined without domains
};

class Batcher {
 public:
  // shuffle: a new permutation each epoch; otherwise file order. blocks: at least one.
  Batcher(Blocks blocks, bool shuffle, std::uint64_t seed);

  // The next `sequences` blocks; a batch may run over the end of an epoch into the next one.
  Batch next(std::int64_t sequences);
  // Blocks [first, first + sequences) in file order, clipped at the end; does not move the position.
  Batch in_order(std::int64_t first, std::int64_t sequences) const;

  std::int64_t position() const { return position_; }  // blocks taken since the start of training
  void seek(std::int64_t position);
  double epoch() const { return static_cast<double>(position_) / static_cast<double>(blocks_.size()); }
  const Blocks& blocks() const { return blocks_; }

 private:
  void load_order(std::int64_t epoch);
  Batch read(const std::vector<std::int64_t>& block_ids) const;

  Blocks blocks_;
  bool shuffle_;
  std::uint64_t seed_;
  std::int64_t position_ = 0;
  std::int64_t order_epoch_ = -1;
  std::vector<std::int64_t> order_;  // of order_epoch_; empty without shuffling
};

}  // namespace moelab::worker
