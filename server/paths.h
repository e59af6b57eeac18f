// Owns the layout of the Moelab home directory. Ids are the only part of a path that comes from outside, and they are
// numbers by type.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace moelab::server {

class HomePaths {
 public:
  explicit HomePaths(std::filesystem::path home) : home_(std::move(home)) {}
  const std::filesystem::path& home() const { return home_; }
  std::filesystem::path database() const { return home_ / "moelab.db"; }
  std::filesystem::path lock() const { return home_ / "daemon.lock"; }
  std::filesystem::path announcement() const { return home_ / "daemon.json"; }
  std::filesystem::path cache() const { return home_ / "cache"; }
  std::filesystem::path trash() const { return home_ / "trash"; }
  std::filesystem::path runs() const { return home_ / "runs"; }
  std::filesystem::path run(std::int64_t id) const { return runs() / std::to_string(id); }
  std::filesystem::path spec(std::int64_t id) const { return run(id) / "run.json"; }
  std::filesystem::path listings(std::int64_t id) const { return run(id) / "listings.json"; }
  std::filesystem::path journal(std::int64_t id) const { return run(id) / "events.jsonl"; }
  std::filesystem::path heartbeat(std::int64_t id) const { return run(id) / "heartbeat"; }
  std::filesystem::path log(std::int64_t id) const { return run(id) / "worker.log"; }
  std::filesystem::path checkpoints(std::int64_t id) const { return run(id) / "checkpoints"; }

 private:
  std::filesystem::path home_;
};

}  // namespace moelab::server
