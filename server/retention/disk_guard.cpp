#include "server/retention/disk_guard.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <system_error>
#include <utility>

namespace moelab::server {
namespace {

constexpr std::uint64_t kDefaultFree = 2'000'000'000;
constexpr std::uint64_t kSmallestShare = 20;  // 1/20 of the disk, where that is less
constexpr std::chrono::seconds kReadEvery{1};

}  // namespace

std::optional<DiskSpace> disk_space(const std::filesystem::path& directory) {
  std::error_code unknown;
  const std::filesystem::space_info space = std::filesystem::space(directory, unknown);
  if (unknown) return std::nullopt;
  return DiskSpace{space.available, space.capacity};
}

std::string size_text(std::uint64_t bytes) {
  const bool giga = bytes >= 1'000'000'000;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), giga ? "%.1f GB" : "%.0f MB", static_cast<double>(bytes) / (giga ? 1e9 : 1e6));
  return text.data();
}

DiskGuard::DiskGuard(std::filesystem::path home, std::optional<std::uint64_t> min_free_bytes, const core::Clock& clock, Probe probe)
    : home_(std::move(home)), min_free_bytes_(min_free_bytes), clock_(clock), probe_(std::move(probe)) {}

std::string DiskGuard::why_not_enough() {
  const core::TimePoint now = clock_.now();
  // A clock that was set back must not keep an old answer alive.
  if (!read_at_ || now < *read_at_ || now - *read_at_ >= kReadEvery) {
    read_at_ = now;
    sentence_ = judge();
  }
  return sentence_;
}

std::string DiskGuard::judge() const {
  const std::optional<DiskSpace> space = probe_(home_);
  if (!space) return "";
  const std::uint64_t wanted = min_free_bytes_.value_or(std::min(kDefaultFree, space->total_bytes / kSmallestShare));
  if (space->free_bytes >= wanted) return "";
  return "waits for disk space: " + size_text(space->free_bytes) + " free in " + home_.string() + ", " + size_text(wanted) +
         " are kept free; `moelab gc` frees some";
}

}  // namespace moelab::server
