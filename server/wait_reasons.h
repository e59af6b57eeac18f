// Owns why each queued run waits, as the scheduler said last. Written by the dispatcher, read by run_service; thread-safe. Kept in
// memory only: it is true now or not at all.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace moelab::server {

class WaitReasons {
 public:
  void set(std::map<std::int64_t, std::string> reasons) {
    const std::lock_guard lock(mutex_);
    reasons_ = std::move(reasons);
  }
  // Empty for a run that does not wait, or that the scheduler has not looked at yet.
  std::string of(std::int64_t run_id) const {
    const std::lock_guard lock(mutex_);
    const auto found = reasons_.find(run_id);
    return found == reasons_.end() ? "" : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::int64_t, std::string> reasons_;
};

}  // namespace moelab::server
