// Owns the arithmetic whether one more run fits on a GPU beside those that are there. Pure: the scheduler gathers what is
// known and asks. Memory is in MB of 1024 x 1024 bytes, as NVML counts it.
//
// What a run needs is what it declared (resources.memory_gb), or the peak that was measured in an earlier attempt of the
// same size, times kPeakMargin for fragments, plus kContextMb for the CUDA context, which the worker's own figure does not
// hold. Readings of the moment decide nothing: many runs could pass before any of them has allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moelab::server {

inline constexpr double kPeakMargin = 1.15;
inline constexpr double kContextMb = 512;

// What a run takes of a GPU at its peak; nothing when it was neither declared nor measured. A declaration holds until a
// measurement was above it.
std::optional<double> memory_need_mb(std::optional<double> declared_gb, std::optional<double> measured_peak_mb);

struct PackedRun {
  std::int64_t id = 0;
  bool share_gpu = false;         // resources.share_gpu
  std::optional<double> need_mb;  // memory_need_mb()
};

struct PackedGpu {
  std::string id;  // "gpu0"
  double memory_total_mb = 0;
  double other_memory_mb = 0;   // in use, not by our runs: the driver itself, other people, what nobody explains
  double own_memory_mb = 0;     // in use by our runs; may be less than they will need, or more than they promised
  std::vector<PackedRun> runs;  // that hold it, the launches of this very tick included
};

// Nothing when `run` may be started on `gpu` now, else one sentence. Several runs share a GPU only when all of them say
// share_gpu and the needs of all are known: a run without a known peak runs alone first, which measures it. Alone a run may
// always try: the margin is for company, and would keep one that fills the GPU from ever running again.
std::optional<std::string> why_not_packed(const PackedRun& run, const PackedGpu& gpu);

}  // namespace moelab::server
