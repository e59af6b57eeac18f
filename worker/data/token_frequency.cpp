#include "worker/data/token_frequency.h"

#include <vector>

namespace moelab::worker {

torch::Tensor token_frequency(const Blocks& blocks, std::int64_t vocab) {
  auto frequency_V = torch::zeros({vocab}, torch::kInt64);
  auto* count = frequency_V.mutable_data_ptr<std::int64_t>();
  std::vector<std::int64_t> ids(static_cast<std::size_t>(blocks.block_size())), targets(ids.size());
  for (std::int64_t block = 0; block < blocks.size(); ++block) {
    blocks.read(block, ids.data(), targets.data());
    for (const auto id : ids) ++count[id];
  }
  return frequency_V;
}

}  // namespace moelab::worker
