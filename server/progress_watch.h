// Owns telling a worker that hangs from one that works: its journal or its heartbeat file changes while it makes progress, whatever it
// is doing (steps, a long evaluation, tokenising). Measured on the steady clock, so a clock that is set fires nothing. Used by the
// dispatcher from one thread; a daemon that starts gives every worker it adopts the whole time again.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>

#include "core/clock.h"
#include "db/run_store.h"
#include "server/paths.h"

namespace moelab::server {

// When the worker of a live run was last seen to work, by its heartbeat and its journal: for one that ended while nobody looked. Not
// before the attempt began, not after `now`.
core::TimePoint last_sign_of_life(const HomePaths& paths, const db::RunRow& run, core::TimePoint now);

class ProgressWatch {
 public:
  explicit ProgressWatch(HomePaths paths) : paths_(std::move(paths)) {}

  // How long the worker of this attempt has been seen without progress.
  std::chrono::nanoseconds idle(std::int64_t run_id, int attempt, std::chrono::nanoseconds steady_now);
  void forget(std::int64_t run_id) { seen_.erase(run_id); }

 private:
  struct Signs {
    std::uintmax_t journal_bytes = 0;
    std::filesystem::file_time_type heartbeat;
    bool operator==(const Signs&) const = default;
  };
  struct Seen {
    int attempt = 0;
    Signs signs;
    std::chrono::nanoseconds since{};
  };
  HomePaths paths_;
  std::map<std::int64_t, Seen> seen_;
};

}  // namespace moelab::server
