#include "server/devices/packing.h"

#include <algorithm>

#include "server/devices/device_words.h"

namespace moelab::server {

std::optional<double> memory_need_mb(std::optional<double> declared_gb, std::optional<double> measured_peak_mb) {
  constexpr double kMbPerGb = 1024;
  const auto declared = declared_gb ? std::optional(*declared_gb * kMbPerGb) : std::nullopt;
  if (declared && (!measured_peak_mb || *measured_peak_mb <= *declared)) return declared;
  if (!measured_peak_mb) return std::nullopt;
  return *measured_peak_mb * kPeakMargin + kContextMb;
}

std::optional<std::string> why_not_packed(const PackedRun& run, const PackedGpu& gpu) {
  if (gpu.runs.empty()) return std::nullopt;
  double promised = 0;
  for (const PackedRun& other : gpu.runs) {
    const std::string name = "run " + std::to_string(other.id);
    if (!run.share_gpu) return gpu.id + " is used by " + name + ", and this run does not share a GPU";
    if (!other.share_gpu) return gpu.id + " is used by " + name + ", which does not share it";
    if (!other.need_mb) return gpu.id + " is used by " + name + ", which runs alone until its memory has been measured";
    promised += *other.need_mb;
  }
  if (!run.need_mb) {
    return gpu.id + " is shared, and the memory that this run needs is not known: it runs alone first, or declares resources.memory_gb";
  }
  const double left = std::max(0.0, gpu.memory_total_mb - gpu.other_memory_mb - std::max(promised, gpu.own_memory_mb));
  if (*run.need_mb <= left) return std::nullopt;
  return gpu.id + ": " + gigabytes(*run.need_mb) + " GiB needed, " + gigabytes(left) + " of " + gigabytes(gpu.memory_total_mb) +
         " GiB not taken or promised";
}

}  // namespace moelab::server
