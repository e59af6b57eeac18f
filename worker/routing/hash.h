// Owns the tables of hash routing (Roller et al., arXiv 2106.04426). Called by hash.cpp and its tests.
// Shapes: V vocabulary, E experts, K experts of a token id.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace moelab::worker {

// int64 [V, K]: K distinct experts for each id, every choice equally likely.
torch::Tensor random_hash_table(std::int64_t vocab, std::int64_t experts, std::int64_t active, at::Generator generator);

// int64 [V, K]: ids by falling frequency_V (int64 [V]; equal ones by id), each to the K experts that carry the least so far (equal
// ones by index), so that experts see nearly equally many tokens of a corpus with these frequencies.
torch::Tensor balanced_hash_table(const torch::Tensor& frequency_V, std::int64_t experts, std::int64_t active);

}  // namespace moelab::worker
