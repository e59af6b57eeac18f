// Owns the random numbers of the data pipeline and the seeds of routing: a pure function of (seed, stream, counter), the same on every
// machine, compiler and library version, so that a split, a block order or a noisy route needs no saved generator state.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace moelab::worker {

// Independent uses of one seed.
enum class RandomStream : std::uint64_t { split = 1, block_order = 2, tokenizer_sample = 3, sampling = 4, routing = 5, domain_blocks = 6 };

// Finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

constexpr std::uint64_t random64(std::uint64_t seed, RandomStream stream, std::uint64_t substream, std::uint64_t counter) {
  return mix64(mix64(mix64(mix64(seed) ^ static_cast<std::uint64_t>(stream)) ^ substream) ^ counter);
}

// Uniform in [0, bound). The bias is below bound / 2^64, far under anything a shuffle could show.
constexpr std::uint64_t scale_to(std::uint64_t random, std::uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(random) * bound) >> 64);
}

// Uniform in [0, 1) with 53 bits.
constexpr double to_unit(std::uint64_t random) {
  return static_cast<double>(random >> 11) * 0x1.0p-53;
}

// 0 .. count - 1 in random order: Fisher-Yates with numbers that depend only on seed, stream, substream and index.
inline std::vector<std::int64_t> permutation(std::int64_t count, std::uint64_t seed, RandomStream stream, std::uint64_t substream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[scale_to(random64(seed, stream, substream, i), i + 1)]);
  return order;
}

}  // namespace moelab::worker
