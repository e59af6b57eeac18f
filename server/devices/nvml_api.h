// Owns the few functions and structures of NVIDIA's management library that the inventory reads, declared here so that
// neither its header nor the library is needed to build; layouts and numbers as documented in the NVML API reference. The
// table is filled from libnvidia-ml.so.1 at run time; tests put a stand-in of that name where the loader finds it first.
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
// Of the _v2 and _v3 of nvmlDeviceGetComputeRunningProcesses and nvmlDeviceGetGraphicsRunningProcesses.
struct NvmlProcess {
  unsigned pid;
  unsigned long long used_memory;  // bytes; all ones when not known
  unsigned gpu_instance, compute_instance;
};

// Of nvmlReturn_t.
inline constexpr int kNvmlSuccess = 0;
inline constexpr int kNvmlNoPermission = 4;
inline constexpr int kNvmlInsufficientSize = 7;
inline constexpr int kNvmlDriverNotLoaded = 9;
inline constexpr int kNvmlGpuIsLost = 15;
inline constexpr int kNvmlResetRequired = 16;
inline constexpr int kNvmlVersionMismatch = 18;
// Of nvmlTemperatureSensors_t.
inline constexpr int kNvmlTemperatureGpu = 0;

// Every function but error_text returns one of the numbers above, or another error.
struct NvmlTable {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_text)(int) = nullptr;
  int (*device_count)(unsigned*) = nullptr;
  int (*handle_by_index)(unsigned, NvmlDevice*) = nullptr;  // in PCI bus order
  int (*name)(NvmlDevice, char*, unsigned) = nullptr;
  int (*uuid)(NvmlDevice, char*, unsigned) = nullptr;
  int (*memory)(NvmlDevice, NvmlMemory*) = nullptr;
  int (*utilization)(NvmlDevice, NvmlUtilization*) = nullptr;
  int (*compute_processes)(NvmlDevice, unsigned*, NvmlProcess*) = nullptr;
  // Null where the driver has none.
  int (*graphics_processes)(NvmlDevice, unsigned*, NvmlProcess*) = nullptr;
  int (*temperature)(NvmlDevice, int sensor, unsigned* celsius) = nullptr;
  int (*power)(NvmlDevice, unsigned* milliwatts) = nullptr;
  int (*mig_mode)(NvmlDevice, unsigned* current, unsigned* pending) = nullptr;
};

// Nothing when the library is not there or lacks a needed function; `why_not` then says so, as a main clause.
std::optional<NvmlTable> load_nvml(std::string* why_not);

}  // namespace moelab::server
