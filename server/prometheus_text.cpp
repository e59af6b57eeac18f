#include "server/prometheus_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "core/run_state.h"
#include "server/metrics_registry.h"
#include "server/run_service.h"

namespace moelab::server {
namespace {

using prometheus::MetricFamily;

constexpr double kBytesPerMb = 1024.0 * 1024.0;
constexpr const char* kThroughput = "perf/tokens_per_sec";

MetricFamily gauge(const char* name, const char* help) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = prometheus::MetricType::Gauge;
  return family;
}

void add(MetricFamily& family, double value, std::vector<prometheus::ClientMetric::Label> labels = {}) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

void add_runs(std::vector<MetricFamily>& families, const std::map<std::string, std::int64_t>& counts) {
  MetricFamily runs = gauge("moelab_runs", "Runs by state.");
  for (const auto& [state, count] : counts) add(runs, static_cast<double>(count), {{"state", state}});
  MetricFamily queue = gauge("moelab_queue_length", "Runs that wait for a device.");
  const auto queued = counts.find(core::to_string(core::RunState::queued));
  add(queue, queued == counts.end() ? 0 : static_cast<double>(queued->second));
  families.push_back(std::move(runs));
  families.push_back(std::move(queue));
}

void add_devices(std::vector<MetricFamily>& families, const std::vector<DeviceView>& devices) {
  std::map<std::pair<std::string, std::string>, std::int64_t> counts;
  MetricFamily busy =
      gauge("moelab_gpu_busy", "1 while a GPU is used, by a run of this daemon (own) or by a process of somebody else (foreign).");
  MetricFamily used = gauge("moelab_gpu_memory_used_bytes", "Memory of a GPU in use, by anybody.");
  MetricFamily total = gauge("moelab_gpu_memory_total_bytes", "Memory that a GPU has.");
  for (const DeviceView& device : devices) {
    for (const char* state : {"free", "leased", "busy"}) counts.try_emplace({device.kind, state}, 0);
    ++counts[{device.kind, device.state}];
    if (device.kind != "gpu") continue;
    const auto any = [&](bool own) {
      return std::any_of(device.processes.begin(), device.processes.end(), [own](const DeviceProcessView& p) { return p.own == own; });
    };
    add(busy, !device.runs.empty() || any(true) ? 1 : 0, {{"gpu", device.id}, {"by", "own"}});
    add(busy, any(false) ? 1 : 0, {{"gpu", device.id}, {"by", "foreign"}});
    if (device.memory_used_mb) add(used, *device.memory_used_mb * kBytesPerMb, {{"gpu", device.id}});
    if (device.memory_total_mb) add(total, *device.memory_total_mb * kBytesPerMb, {{"gpu", device.id}});
  }
  MetricFamily list = gauge("moelab_devices", "Devices by kind and state.");
  for (const auto& [key, count] : counts) add(list, static_cast<double>(count), {{"state", key.second}, {"kind", key.first}});
  families.push_back(std::move(list));
  for (MetricFamily* family : {&busy, &used, &total}) {
    if (!family->metric.empty()) families.push_back(std::move(*family));
  }
}

void add_throughput(std::vector<MetricFamily>& families, const RunService& service) {
  RunQuery training;
  training.states = {core::RunState::running, core::RunState::stopping};
  training.limit = 1000;
  double sum = 0;
  for (const RunView& run : service.runs(training).runs) {
    const auto rate = run.metrics.find(kThroughput);
    if (rate != run.metrics.end()) sum += rate->second;
  }
  MetricFamily family = gauge("moelab_run_tokens_per_second", "Training tokens a second, summed over the runs that train now.");
  add(family, sum);
  families.push_back(std::move(family));
}

}  // namespace

std::string prometheus_text(const MetricsRegistry& registry, const RunService& service) {
  std::vector<MetricFamily> families = registry.collect();
  add_runs(families, service.health().runs);
  add_devices(families, service.devices().devices);
  add_throughput(families, service);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace moelab::server
