// Owns reading files of ready-made token ids: NumPy .npy (1-D uint16, int32 or int64) and headerless .bin (uint16, or the
// dtype its sidecar JSON names). Called by data_source for data.tokens and data.val_tokens, and by the score command.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "worker/data/token_array.h"

namespace moelab::worker {

// Sequences of equal length, one after the other.
struct TokenMatrix {
  TokenArray ids;
  std::int64_t rows = 1, columns = 0;
  bool one_dimension = true;  // of the file; then there is one row
};

// key: "data.tokens" or "data.val_tokens", for messages. A sidecar FILE.json beside FILE.bin may hold
// {"vocab": N, "count": N, "dtype": "uint16" | "int32" | "int64"}; what it says must be true.
// Throws Error(data): missing file, other format or byte order, more than one dimension, an id >= vocab_size (file,
// position and id are named), a sidecar that disagrees.
TokenArray read_token_file(const std::filesystem::path& file, std::int64_t vocab_size, const std::string& key);

// The same, and .npy may have two dimensions [rows, columns] in C order.
TokenMatrix read_token_matrix(const std::filesystem::path& file, std::int64_t vocab_size, const std::string& key);

}  // namespace moelab::worker
