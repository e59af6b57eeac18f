// Owns the question whether the home's disk has room for one more run: a run that starts on a full disk dies at its first checkpoint.
// Asked by the dispatcher before it launches; read at most once a second. Used from one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "core/clock.h"

namespace moelab::server {

struct DiskSpace {
  std::uint64_t free_bytes = 0;  // for an ordinary user
  std::uint64_t total_bytes = 0;
};
// Nothing when the file system does not tell.
std::optional<DiskSpace> disk_space(const std::filesystem::path& directory);

// "1.2 GB", of 10^9 bytes; MB below one.
std::string size_text(std::uint64_t bytes);

class DiskGuard {
 public:
  using Probe = std::function<std::optional<DiskSpace>(const std::filesystem::path&)>;

  // min_free_bytes: kept free; 0 = never says no; nothing = 2 GB, or 5 % of a disk that is smaller than 40 GB.
  DiskGuard(std::filesystem::path home, std::optional<std::uint64_t> min_free_bytes, const core::Clock& clock, Probe probe = disk_space);

  // Why no run may start now: "waits for disk space: ...". Empty when one may.
  std::string why_not_enough();

 private:
  std::string judge() const;

  std::filesystem::path home_;
  std::optional<std::uint64_t> min_free_bytes_;
  const core::Clock& clock_;
  Probe probe_;
  std::optional<core::TimePoint> read_at_;
  std::string sentence_;
};

}  // namespace moelab::server
