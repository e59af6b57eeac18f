#include "worker/train/provenance.h"

#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/version.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace moelab::worker {
namespace {

// The value of the first line "key : value" of a /proc file; empty when there is none.
std::string proc_value(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string device_name(const torch::Device& device) {
  if (!device.is_cpu()) return device.str();
  const std::string model = proc_value("/proc/cpuinfo", "model name");
  return model.empty() ? "cpu" : "cpu: " + model;
}

}  // namespace

nlohmann::json provenance(const torch::Device& device) {
  return {{"pid", static_cast<std::int64_t>(::getpid())},
          {"host", host_name()},
          {"device", device_name(device)},
          {"threads", at::get_num_threads()},
          {"libtorch", TORCH_VERSION},
          {"code_version", MOELAB_CODE_VERSION}};
}

double peak_memory_mb(const torch::Device& device) {
  constexpr double kMib = 1024.0 * 1024.0;
  if (!device.is_cpu()) {
    const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.has_index() ? device.index() : c10::DeviceIndex(0));
    return static_cast<double>(stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak) / kMib;
  }
  const std::string kib = proc_value("/proc/self/status", "VmHWM");
  return kib.empty() ? 0 : std::stod(kib) / 1024.0;
}

}  // namespace moelab::worker
