// Owns how the blocks of several domains become one sequence to train on, and one to evaluate on. Called by data_source.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/data/blocks.h"

namespace moelab::worker {

// Equally many blocks of every domain: each domain's blocks are shuffled by (seed, domain) and cut to the number the smallest
// domain has, then dealt in turn, so that any n * D blocks in a row, D = the number of domains, hold n of each.
// parts: one a domain, at least one block each.
Blocks balanced_mix(const std::vector<std::string>& domains, const std::vector<Blocks>& parts, std::uint64_t seed);

// Every block of the first domain in file order, then of the second, and so on.
Blocks in_sequence(const std::vector<std::string>& domains, const std::vector<Blocks>& parts);

}  // namespace moelab::worker
