// Owns the writing of a float32 array as NumPy's .npy, piece by piece. Called by the score command for logits.
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "worker/data/output_file.h"

namespace moelab::worker {

class NpyWriter {
 public:
  // Throws Error(storage) naming the file when it cannot be written, here and in what follows.
  NpyWriter(const std::filesystem::path& file, const std::vector<std::int64_t>& shape);

  // The next values in C order.
  void append(std::span<const float> values);
  // All values of the shape have been appended. Without it the file never appears.
  void commit();

 private:
  OutputFile file_;
  std::int64_t missing_;  // values still to come
};

}  // namespace moelab::worker
