// Owns the few functions and structures of NVIDIA's management library that the inventory reads, declared here so that
// neither its header nor the library is needed to build; layouts as documented in the NVML API reference. The table is
// filled from libnvidia-ml.so.1 at run time, or by a test.
#pragma once

#include <optional>
#include <string>

namespace moelab::server {

using NvmlDevice = struct NvmlDeviceHandle*;

struct NvmlMemory {
  unsigned long long total, free, used;  // bytes
};
struct NvmlUtilization {
  unsigned gpu, memory;  // percent of the last sample period
};
// Of nvmlDeviceGetComputeRunningProcesses_v2 and _v3.
struct NvmlProcess {
  unsigned pid;
  unsigned long long used_memory;  // bytes; all ones when not known
  unsigned gpu_instance, compute_instance;
};

inline constexpr int kNvmlSuccess = 0;
inline constexpr int kNvmlInsufficientSize = 7;

// Every function returns kNvmlSuccess or an error number.
struct NvmlTable {
  int (*init)() = nullptr;
  int (*device_count)(unsigned*) = nullptr;
  int (*handle_by_index)(unsigned, NvmlDevice*) = nullptr;  // in PCI bus order
  int (*name)(NvmlDevice, char*, unsigned) = nullptr;
  int (*uuid)(NvmlDevice, char*, unsigned) = nullptr;
  int (*memory)(NvmlDevice, NvmlMemory*) = nullptr;
  int (*utilization)(NvmlDevice, NvmlUtilization*) = nullptr;
  int (*processes)(NvmlDevice, unsigned*, NvmlProcess*) = nullptr;
  int (*mig_mode)(NvmlDevice, unsigned* current, unsigned* pending) = nullptr;  // absent in drivers before 450
};

// Nothing when the library is not there or lacks a needed function; `why_not` then says so.
std::optional<NvmlTable> load_nvml(std::string* why_not);

}  // namespace moelab::server
