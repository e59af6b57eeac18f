#include "server/devices/nvml_api.h"

#include <dlfcn.h>

namespace moelab::server {
namespace {

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

std::optional<NvmlTable> load_nvml(std::string* why_not) {
  // Never closed: the driver keeps threads and handlers of its own.
  void* library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    *why_not = "the NVIDIA driver's library libnvidia-ml.so.1 is not installed";
    return std::nullopt;
  }
  NvmlTable table;
  const bool complete = find(library, "nvmlInit_v2", table.init) && find(library, "nvmlShutdown", table.shutdown) &&
                        find(library, "nvmlErrorString", table.error_text) &&
                        find(library, "nvmlDeviceGetCount_v2", table.device_count) &&
                        find(library, "nvmlDeviceGetHandleByIndex_v2", table.handle_by_index) &&
                        find(library, "nvmlDeviceGetName", table.name) && find(library, "nvmlDeviceGetUUID", table.uuid) &&
                        find(library, "nvmlDeviceGetMemoryInfo", table.memory) &&
                        find(library, "nvmlDeviceGetUtilizationRates", table.utilization) &&
                        (find(library, "nvmlDeviceGetComputeRunningProcesses_v3", table.compute_processes) ||
                         find(library, "nvmlDeviceGetComputeRunningProcesses_v2", table.compute_processes));
  if (!complete) {
    ::dlclose(library);
    *why_not = "the NVIDIA driver is too old; version 450 or newer is needed";
    return std::nullopt;
  }
  find(library, "nvmlDeviceGetGraphicsRunningProcesses_v3", table.graphics_processes) ||
      find(library, "nvmlDeviceGetGraphicsRunningProcesses_v2", table.graphics_processes);
  find(library, "nvmlDeviceGetTemperature", table.temperature);
  find(library, "nvmlDeviceGetPowerUsage", table.power);
  find(library, "nvmlDeviceGetMigMode", table.mig_mode);
  return table;
}

}  // namespace moelab::server
