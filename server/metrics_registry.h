// Owns what the daemon counts about itself for Prometheus: counters and histograms since its start. App makes one; dispatcher
// loop, ingest and webhooks report to it from their threads, GET /metrics reads it. Times are seconds. Thread-safe.
// What can be read from database and devices (runs by state, busy GPUs) is not kept here but asked for at each scrape.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
struct MetricFamily;
}

namespace moelab::server {

// Of one batch of a worker's journal.
struct IngestedBatch {
  std::int64_t events = 0;         // applied
  std::int64_t bytes = 0;          // read
  std::int64_t skipped_lines = 0;  // neither an event nor empty
  std::chrono::duration<double> took{};
};

class MetricsRegistry {
 public:
  using Seconds = std::chrono::duration<double>;

  explicit MetricsRegistry(const std::string& version);
  ~MetricsRegistry();

  // One pass of the dispatcher: reaping, time limits, stops, devices, launches.
  void add_tick(Seconds took);
  // A run has left the queue for a device after waiting so long.
  void add_queue_wait(Seconds waited);
  void add_batch(const IngestedBatch& batch);
  // One attempt to deliver to a webhook: "delivered", "failed" (to be tried again) or "given_up".
  void add_delivery(const std::string& result);

  std::vector<prometheus::MetricFamily> collect() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace moelab::server
