// Owns why each queued run waits, as the scheduler said last, and each started one whose worker waits elsewhere (in Slurm's queue).
// Written by the dispatcher, read by run_service; thread-safe. Kept in memory only: it is true now or not at all.
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
  // Of a started run; empty = it waits no more. True when that is news.
  bool set_started(std::int64_t run_id, std::string reason) {
    const std::lock_guard lock(mutex_);
    if (reason.empty()) return started_.erase(run_id) > 0;
    std::string& known = started_[run_id];
    return std::exchange(known, std::move(reason)) != known;
  }
  // Empty for a run that does not wait, or that the scheduler has not looked at yet.
  std::string of(std::int64_t run_id) const {
    const std::lock_guard lock(mutex_);
    for (const auto* reasons : {&started_, &reasons_}) {
      if (const auto found = reasons->find(run_id); found != reasons->end()) return found->second;
    }
    return "";
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::int64_t, std::string> reasons_, started_;
};

}  // namespace moelab::server
