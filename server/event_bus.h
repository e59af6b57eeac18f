// Owns change notifications inside the daemon: dispatcher, ingest and run_service publish, SSE streams and `moelab run`
// subscribe. A notice says WHAT changed, never how: the subscriber asks run_service for the present view. So notices of
// one thing merge, and a subscriber that is slow holds at most one entry per run and experiment, capped at kMaxPending.
#pragma once

#include <atomic>
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

  // Its state, its place in the queue or what it may use has changed.
  void run_changed(std::int64_t run_id);
  // It has only come further.
  void run_progressed(std::int64_t run_id);
  void experiment_changed(std::int64_t experiment_id);
  void devices_changed();
  // Opened, held or drained.
  void queue_changed() { ++decisions_due_; }
  // Wakes every subscriber for good.
  void close();
  // Counts everything that may change what the scheduler decides.
  std::uint64_t decisions_due() const { return decisions_due_; }

 private:
  template <class Apply>
  void publish(Apply&& apply);

  std::mutex mutex_;
  std::vector<std::weak_ptr<Subscription>> subscriptions_;
  bool closed_ = false;
  std::atomic<std::uint64_t> decisions_due_ = 0;
};

}  // namespace moelab::server
