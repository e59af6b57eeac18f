#include "worker/data/domain_mix.h"

#include <algorithm>

#include "worker/data/portable_random.h"

namespace moelab::worker {

Blocks balanced_mix(const std::vector<std::string>& domains, const std::vector<Blocks>& parts, std::uint64_t seed) {
  const auto by_size = [](const Blocks& a, const Blocks& b) { return a.size() < b.size(); };
  const auto smallest = static_cast<std::size_t>(std::min_element(parts.begin(), parts.end(), by_size)->size());
  std::vector<BlockPlace> places(smallest * parts.size());
  for (std::size_t domain = 0; domain < parts.size(); ++domain) {
    const std::vector<std::int64_t> order = permutation(parts[domain].size(), seed, RandomStream::domain_blocks, domain);
    for (std::size_t turn = 0; turn < smallest; ++turn) {
      places[turn * parts.size() + domain] = {static_cast<std::int64_t>(domain), order[turn]};
    }
  }
  return {domains, parts, std::move(places)};
}

Blocks in_sequence(const std::vector<std::string>& domains, const std::vector<Blocks>& parts) {
  std::vector<BlockPlace> places;
  for (std::size_t domain = 0; domain < parts.size(); ++domain) {
    for (std::int64_t block = 0; block < parts[domain].size(); ++block) places.push_back({static_cast<std::int64_t>(domain), block});
  }
  return {domains, parts, std::move(places)};
}

}  // namespace moelab::worker
