// Owns content hashing in the worker: cache keys and the proof that a cached file is whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace moelab::worker {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(const void* data, std::size_t bytes);
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }
  // A field of a key: its length goes in too, so that ("ab", "c") and ("a", "bc") differ.
  Sha256& field(std::string_view text);
  // 64 hex digits; the object is spent afterwards.
  std::string hex();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Throws Error(data) when the file cannot be read.
std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace moelab::worker
