// Owns the answer of GET /metrics: the registry's counters and a reading of database and devices at this moment, in the text
// format 0.0.4 of Prometheus. No label names a run: a series for every run would grow without end.
#pragma once

#include <string>

namespace moelab::server {

class MetricsRegistry;
class RunService;

inline constexpr const char* kPrometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

std::string prometheus_text(const MetricsRegistry& registry, const RunService& service);

}  // namespace moelab::server
