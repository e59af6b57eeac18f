// Owns reading files of ready-made token ids: NumPy .npy (1-D uint16, int32 or int64) and headerless .bin (uint16, or the
// dtype its sidecar JSON names). Called by data_source for data.tokens and data.val_tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "worker/data/token_array.h"

namespace moelab::worker {

// key: "data.tokens" or "data.val_tokens", for messages. A sidecar FILE.json beside FILE.bin may hold
// {"vocab": N, "count": N, "dtype": "uint16" | "int32" | "int64"}; what it says must be true.
// Throws Error(data): missing file, other format or byte order, more than one dimension, an id >= vocab_size (file,
// position and id are named), a sidecar that disagrees.
TokenArray read_token_file(const std::filesystem::path& file, std::int64_t vocab_size, const std::string& key);

}  // namespace moelab::worker
