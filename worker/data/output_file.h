// Owns a file under construction: it gets its name when it is complete and on the disk. Used by the writers of safetensors
// and .npy files.
#pragma once

#include <cstddef>
#include <filesystem>

namespace moelab::worker {

// Temporary beside `file` until commit(), gone if that never happens. Throws Error(storage) naming the file.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& file);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, std::size_t size);
  void commit();

 private:
  [[noreturn]] void fail(int error) const;

  std::filesystem::path file_, temporary_;
  int fd_ = -1;
};

}  // namespace moelab::worker
