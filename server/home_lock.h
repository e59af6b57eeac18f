// Owns the right to be the one daemon of a home directory. Held by App for its life and by `moelab db rebuild`.
#pragma once

#include <filesystem>

namespace moelab::server {

class HomeLock {
 public:
  // Creates the home if needed. Throws Error(storage) when it is not writable, Error(conflict) naming the holder's pid when
  // another process has the lock. The kernel drops the lock with the process, however that ends.
  explicit HomeLock(const std::filesystem::path& home);
  ~HomeLock();
  HomeLock(const HomeLock&) = delete;
  HomeLock& operator=(const HomeLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace moelab::server
