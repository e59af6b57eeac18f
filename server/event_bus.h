// Owns change notifications inside the daemon: dispatcher, ingest and run_service publish, SSE streams and `moelab run`
// subscribe. A notice says WHAT changed, never how: the subscriber asks run_service for the present view. So notices of
// one thing merge, and a subscriber that is slow holds at most one entry per run and experiment, capped at kMaxPending.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace moelab::server {

struct Changes {
  std::vector<std::int64_t> runs;         // ascending
  std::vector<std::int64_t> experiments;  // ascending
  bool devices = false;
  bool overflow = false;  // more changed than was kept: treat everything as changed
  bool closed = false;    // the daemon stops; nothing will follow
  bool empty() const { return runs.empty() && experiments.empty() && !devices && !overflow && !closed; }
};

class Subscription {
 public:
  static constexpr std::size_t kMaxPending = 4096;

  // Waits up to `timeout` for a change and takes all that is pending; empty() on timeout. One caller at a time.
  Changes wait(std::chrono::milliseconds timeout);

 private:
  friend class EventBus;
  bool has_news() const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::int64_t> runs_;
  std::set<std::int64_t> experiments_;
  bool devices_ = false;
  bool overflow_ = false;
  bool closed_ = false;
};

class EventBus {
 public:
  // Ends when the returned pointer is dropped. After close() a new subscription is closed from the start.
  std::shared_ptr<Subscription> subscribe();

  void run_changed(std::int64_t run_id);
  void experiment_changed(std::int64_t experiment_id);
  void devices_changed();
  // Wakes every subscriber for good.
  void close();

 private:
  template <class Apply>
  void publish(Apply&& apply);

  std::mutex mutex_;
  std::vector<std::weak_ptr<Subscription>> subscriptions_;
  bool closed_ = false;
};

}  // namespace moelab::server
