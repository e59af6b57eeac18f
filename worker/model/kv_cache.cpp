#include "worker/model/kv_cache.h"

#include <cassert>

namespace moelab::worker {

KvCache::KvCache(const core::ModelShape& shape, std::int64_t sequences, std::int64_t capacity, const torch::TensorOptions& options)
    : capacity_(capacity), length_(static_cast<std::size_t>(sequences), 0) {
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    k_.push_back(torch::empty({sequences, shape.kv_heads, capacity, shape.head_dim}, options));
    v_.push_back(torch::empty_like(k_.back()));
  }
}

KvCache::Keys KvCache::append(std::int64_t layer, std::int64_t sequence, const torch::Tensor& k_GMC, const torch::Tensor& v_GMC) {
  const auto before = length(sequence), rows = k_GMC.size(1);
  assert(before + rows <= capacity_);
  const auto put = [&](const torch::Tensor& cache, const torch::Tensor& rows_GMC) {
    const auto own = cache[sequence];
    own.narrow(1, before, rows).copy_(rows_GMC);
    return own.narrow(1, 0, before + rows);
  };
  const auto at = static_cast<std::size_t>(layer);
  return {put(k_[at], k_GMC), put(v_[at], v_GMC)};
}

}  // namespace moelab::worker
