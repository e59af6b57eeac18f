#include "server/metrics_registry.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>

namespace moelab::server {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

const Buckets kWorkSeconds{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5};
const Buckets kWaitSeconds{0.1, 1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600};
constexpr std::array kDeliveryResults{"delivered", "failed", "given_up"};

prometheus::Histogram& histogram(prometheus::Registry& registry, const char* name, const char* help, const Buckets& buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

struct MetricsRegistry::Parts {
  prometheus::Registry registry;
  prometheus::Histogram& tick = histogram(registry, "moelab_scheduler_tick_seconds",
                                          "Time of one pass of the dispatcher: reaping, stops, devices, launches.", kWorkSeconds);
  prometheus::Histogram& wait =
      histogram(registry, "moelab_queue_wait_seconds", "Time that runs waited in the queue before they were given a device.", kWaitSeconds);
  prometheus::Histogram& batch =
      histogram(registry, "moelab_ingest_batch_seconds", "Time to store one batch of a worker's journal.", kWorkSeconds);
  prometheus::Counter& events = counter(registry, "moelab_ingest_events_total", "Events of workers' journals that were stored.");
  prometheus::Counter& bytes = counter(registry, "moelab_ingest_bytes_total", "Bytes of workers' journals that were read.");
  prometheus::Counter& skipped =
      counter(registry, "moelab_ingest_skipped_lines_total", "Lines of workers' journals that are no event and were skipped.");
  prometheus::Family<prometheus::Counter>& deliveries =
      prometheus::BuildCounter().Name("moelab_webhook_deliveries_total").Help("Attempts to deliver to webhooks, by result.").Register(registry);
};

MetricsRegistry::MetricsRegistry(const std::string& version) : parts_(std::make_unique<Parts>()) {
  // A counter that appears with its first event would hide that event from rate().
  for (const char* result : kDeliveryResults) parts_->deliveries.Add({{"result", result}});
  prometheus::BuildGauge()
      .Name("moelab_build_info")
      .Help("The version of Moelab that runs; its value is always 1.")
      .Register(parts_->registry)
      .Add({{"version", version}})
      .Set(1);
}

MetricsRegistry::~MetricsRegistry() = default;

void MetricsRegistry::add_tick(Seconds took) {
  parts_->tick.Observe(took.count());
}

void MetricsRegistry::add_queue_wait(Seconds waited) {
  parts_->wait.Observe(waited.count());
}

void MetricsRegistry::add_batch(const IngestedBatch& batch) {
  parts_->batch.Observe(batch.took.count());
  parts_->events.Increment(static_cast<double>(batch.events));
  parts_->bytes.Increment(static_cast<double>(batch.bytes));
  parts_->skipped.Increment(static_cast<double>(batch.skipped_lines));
}

void MetricsRegistry::add_delivery(const std::string& result) {
  parts_->deliveries.Add({{"result", result}}).Increment();
}

std::vector<prometheus::MetricFamily> MetricsRegistry::collect() const {
  return parts_->registry.Collect();
}

}  // namespace moelab::server
