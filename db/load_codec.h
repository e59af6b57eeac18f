// Owns the blob form of expert-load counts: unsigned LEB128 varints. A count of a demo run takes one or two bytes instead
// of eight. Called by LoadStore.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moelab::db {

// Counts must not be negative: throws Error(storage).
std::string encode_counts(const std::vector<std::int64_t>& counts);
// Throws Error(storage) when the blob does not hold exactly `size` counts.
std::vector<std::int64_t> decode_counts(const std::string& blob, std::size_t size);

}  // namespace moelab::db
