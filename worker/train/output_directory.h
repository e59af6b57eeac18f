// Owns a directory under construction: built under a temporary name beside its place, renamed when complete, gone if that
// never happens. Used by the import and export commands.
#pragma once

#include <filesystem>

namespace moelab::worker {

class OutputDirectory {
 public:
  // Throws Error(usage) when `target` is a file or a directory that is not empty, Error(storage) when nothing can be written there.
  explicit OutputDirectory(const std::filesystem::path& target);
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  const std::filesystem::path& path() const { return temporary_; }
  // The files have been flushed by their writers. After a signal that asks to stop it throws Error(usage) instead.
  void commit();

 private:
  std::filesystem::path target_, temporary_;
  bool committed_ = false;
};

}  // namespace moelab::worker
