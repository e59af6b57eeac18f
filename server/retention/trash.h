// Owns home/trash: what is thrown away is renamed into it first, which is one step whatever its size, and removed afterwards. A daemon
// that dies in between leaves either a whole run or a whole directory in the trash: put_back_runs, then empty, at the next start.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "server/paths.h"

namespace moelab::server {

class Trash {
 public:
  explicit Trash(HomePaths paths) : paths_(std::move(paths)) {}

  // Renames a file or directory of the home into the trash and says where it lies now. Throws Error(storage).
  std::filesystem::path take(const std::filesystem::path& path) const;
  // Back to where it was.
  void put_back(const std::filesystem::path& taken) const;
  // Directories of runs whose row is still there: the daemon died before it had forgotten them.
  void put_back_runs(const std::function<bool(std::int64_t id)>& is_known) const;
  // Removes what lies there; what cannot be removed stays for the next time. Returns what has been freed, in bytes.
  std::uint64_t empty() const;

 private:
  HomePaths paths_;
};

// What lies in a directory, in order; nothing when it is gone.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& directory);
// Bytes of a file, or of all below a directory; links are not followed. 0 when it is gone.
std::uint64_t bytes_of(const std::filesystem::path& path);

}  // namespace moelab::server
