// Owns the rotated keys and the values of text a model has read already, so that a further token costs one token and not the
// whole text. Made by LanguageModel::make_cache for generation, which keeps it; filled by the attention layers.
// Shapes: M new tokens of a sequence, U tokens of it so far, G key/value heads, C head width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "core/model_shape.h"

namespace moelab::worker {

class KvCache {
 public:
  // Room for `capacity` tokens of each of `sequences` texts, in the compute type and on the device of `options`.
  KvCache(const core::ModelShape& shape, std::int64_t sequences, std::int64_t capacity, const torch::TensorOptions& options);

  std::int64_t length(std::int64_t sequence) const { return length_.at(static_cast<std::size_t>(sequence)); }
  std::int64_t capacity() const { return capacity_; }
  // Forgets a sequence, whose next token is then at position 0 again.
  void clear(std::int64_t sequence) { length_.at(static_cast<std::size_t>(sequence)) = 0; }

  struct Keys {
    torch::Tensor k_GUC, v_GUC;
  };
  // Puts [G, M, C] behind what a layer holds of a sequence and returns all of it. The length grows once, by advance(), when
  // every layer has put its own.
  Keys append(std::int64_t layer, std::int64_t sequence, const torch::Tensor& k_GMC, const torch::Tensor& v_GMC);
  void advance(std::int64_t sequence, std::int64_t tokens) { length_.at(static_cast<std::size_t>(sequence)) += tokens; }

 private:
  std::int64_t capacity_;
  std::vector<std::int64_t> length_;
  std::vector<torch::Tensor> k_, v_;  // of each layer, [sequences, G, capacity, C]
};

// Which rows of a batch of new tokens belong to which sequence of a cache.
struct CacheSpan {
  std::int64_t sequence = 0;
  std::int64_t first_row = 0, rows = 0;
};

}  // namespace moelab::worker
