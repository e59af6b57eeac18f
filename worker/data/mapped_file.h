// Owns a file mapped read-only into memory: token files and cached tokens are read through it, never copied whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace moelab::worker {

class MappedFile {
 public:
  // Throws Error(data) naming the file and the reason. An empty file maps to zero bytes.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), bytes_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace moelab::worker
