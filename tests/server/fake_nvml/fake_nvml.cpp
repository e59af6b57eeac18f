// A STAND-IN for NVIDIA's libnvidia-ml.so.1, for machines without a GPU: there is no driver behind it and nothing computes.
// The daemon and the tests load it as they load the real one, with dlopen and LD_LIBRARY_PATH. What it tells is read from
// the JSON file that MOELAB_FAKE_NVML names, anew at every call, so that a test can change the world while a daemon runs;
// replace the file in one step (write another, rename it). Without the variable it says that no driver is loaded.
//
// {"init": "ok",                 or "driver_not_loaded", "version_mismatch", "no_permission"
//  "follow": {"home": DIR,       live workers of runs below DIR appear on the GPU of their CUDA_VISIBLE_DEVICES,
//             "memory_mb": 900,  each with this much memory;
//             "on": 1,           all of them on this GPU instead;
//             "hide": true,      their memory is in use but their pids are not listed, as in a container;
//             "leak": true},     their memory stays in use when they are gone, until this is false
//  "gpus": [{"name", "uuid", "memory_total_mb", "memory_used_mb" (without processes), "utilization_pct", "temperature_c",
//            "power_w", "mig", "lost", "processes": [{"pid", "memory_mb", "graphics"}]}]}
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

using nlohmann::json;

// As in the API reference of NVML.
constexpr int kSuccess = 0, kUninitialized = 1, kInvalidArgument = 2, kNotSupported = 3, kNoPermission = 4, kInsufficientSize = 7,
              kDriverNotLoaded = 9, kGpuIsLost = 15, kVersionMismatch = 18;

struct Memory {
  unsigned long long total, free, used;
};
struct Utilization {
  unsigned gpu, memory;
};
struct ProcessInfo {
  unsigned pid;
  unsigned long long used_memory;
  unsigned gpu_instance, compute_instance;
};

struct Process {
  long pid = 0;
  double memory_mb = 0;
  bool graphics = false;
};

struct Gpu {
  json said;
  std::vector<Process> processes;
  double extra_mb = 0;  // in use by workers that are hidden, or gone and leaking
};

std::mutex mutex;
json last_good = json::object();                      // a file that is just being written says nothing
std::map<std::pair<std::size_t, long>, double> seen;  // followed workers: GPU and pid -> memory
bool initialised = false;

std::string slurp(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const json& scenario() {
  const char* file = std::getenv("MOELAB_FAKE_NVML");
  if (!file) return last_good = {{"init", "driver_not_loaded"}};
  const json read = json::parse(slurp(file), nullptr, false);
  if (read.is_object()) last_good = read;
  return last_good;
}

int init_result(const json& said) {
  const std::string init = said.value("init", "ok");
  if (init == "driver_not_loaded") return kDriverNotLoaded;
  if (init == "version_mismatch") return kVersionMismatch;
  if (init == "no_permission") return kNoPermission;
  return kSuccess;
}

std::map<std::string, std::string> environment_of(const std::string& pid) {
  std::map<std::string, std::string> variables;
  std::istringstream text(slurp("/proc/" + pid + "/environ"));
  for (std::string variable; std::getline(text, variable, '\0');) {
    const std::size_t equals = variable.find('=');
    if (equals != std::string::npos) variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  return variables;
}

// Index of the GPU that an entry of CUDA_VISIBLE_DEVICES names.
std::optional<std::size_t> chosen(const std::string& entry, const json& gpus) {
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    if (entry == std::to_string(i) || (!entry.empty() && entry == gpus[i].value("uuid", ""))) return i;
  }
  return std::nullopt;
}

// Live workers of the home that is followed: GPU and pid.
std::vector<std::pair<std::size_t, long>> workers(const json& follow, const json& gpus) {
  std::vector<std::pair<std::size_t, long>> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); })) continue;
    const long pid = std::atol(name.c_str());
    if (::getsid(static_cast<pid_t>(pid)) != pid) continue;  // a worker leads its session
    const auto variables = environment_of(name);
    const auto run = variables.find("MOELAB_RUN_DIR");
    const auto visible = variables.find("CUDA_VISIBLE_DEVICES");
    if (run == variables.end() || visible == variables.end() || !run->second.starts_with(follow.value("home", "/"))) continue;
    auto gpu = chosen(visible->second, gpus);
    if (gpu && follow.contains("on")) gpu = follow.at("on").get<std::size_t>();
    if (gpu) found.emplace_back(*gpu, pid);
  }
  return found;
}

std::vector<Gpu> world(const json& said) {
  const json listed = said.value("gpus", json::array());
  std::vector<Gpu> gpus;
  for (const json& one : listed) {
    Gpu gpu{one, {}, 0};
    for (const json& p : one.value("processes", json::array()))
      gpu.processes.push_back({p.value("pid", 0L), p.value("memory_mb", 0.0), p.value("graphics", false)});
    gpus.push_back(std::move(gpu));
  }
  if (!said.contains("follow")) return gpus;
  const json follow = said.at("follow");
  const auto live = workers(follow, listed);
  const double memory_mb = follow.value("memory_mb", 900.0);
  for (const auto& [gpu, pid] : live) {
    if (gpu >= gpus.size()) continue;
    seen[{gpu, pid}] = memory_mb;
    if (follow.value("hide", false)) {
      gpus[gpu].extra_mb += memory_mb;
    } else {
      gpus[gpu].processes.push_back({pid, memory_mb, false});
    }
  }
  for (auto it = seen.begin(); it != seen.end();) {
    const auto& [gpu, pid] = it->first;
    const bool lives = std::find(live.begin(), live.end(), it->first) != live.end();
    if (!lives && !follow.value("leak", false)) {
      it = seen.erase(it);
      continue;
    }
    if (!lives && gpu < gpus.size()) gpus[gpu].extra_mb += it->second;
    ++it;
  }
  return gpus;
}

std::size_t index_of(void* device) {
  return reinterpret_cast<std::size_t>(device) - 1;
}

// Runs `answer` on the GPU behind a handle, under the lock that all calls share.
template <class Answer>
int ask(void* device, Answer&& answer) {
  const std::lock_guard lock(mutex);
  const json& said = scenario();
  if (!initialised) return kUninitialized;
  if (const int failed = init_result(said); failed != kSuccess) return failed;
  const std::vector<Gpu> gpus = world(said);
  if (index_of(device) >= gpus.size()) return kInvalidArgument;
  const Gpu& gpu = gpus[index_of(device)];
  if (gpu.said.value("lost", false)) return kGpuIsLost;
  return answer(gpu);
}

int copy_text(const std::string& text, char* to, unsigned size) {
  if (text.size() >= size) return kInsufficientSize;
  std::memcpy(to, text.c_str(), text.size() + 1);
  return kSuccess;
}

unsigned long long bytes(double mb) {
  return static_cast<unsigned long long>(mb * 1024 * 1024);
}

int list_processes(void* device, unsigned* count, ProcessInfo* list, bool graphics) {
  return ask(device, [&](const Gpu& gpu) {
    unsigned found = 0;
    for (const Process& p : gpu.processes) {
      if (p.graphics != graphics) continue;
      if (found < *count) list[found] = {static_cast<unsigned>(p.pid), p.memory_mb < 0 ? ~0ULL : bytes(p.memory_mb), ~0U, ~0U};
      ++found;
    }
    const bool fits = found <= *count;
    *count = found;
    return fits ? kSuccess : kInsufficientSize;
  });
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  const std::lock_guard lock(mutex);
  const int result = init_result(scenario());
  initialised = result == kSuccess;
  return result;
}

int nvmlShutdown() {
  const std::lock_guard lock(mutex);
  initialised = false;
  return kSuccess;
}

const char* nvmlErrorString(int) {
  return "said by the stand-in";
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  const std::lock_guard lock(mutex);
  const json& said = scenario();
  if (!initialised) return kUninitialized;
  *count = static_cast<unsigned>(said.value("gpus", json::array()).size());
  return init_result(said);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = reinterpret_cast<void*>(static_cast<std::size_t>(index) + 1);
  return ask(*device, [](const Gpu&) { return kSuccess; });
}

int nvmlDeviceGetName(void* device, char* text, unsigned size) {
  return ask(device, [&](const Gpu& gpu) { return copy_text(gpu.said.value("name", "Stand-in GPU"), text, size); });
}

int nvmlDeviceGetUUID(void* device, char* text, unsigned size) {
  return ask(device, [&](const Gpu& gpu) {
    return copy_text(gpu.said.value("uuid", "GPU-00000000-stand-in-" + std::to_string(index_of(device))), text, size);
  });
}

int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  return ask(device, [&](const Gpu& gpu) {
    double used = gpu.said.value("memory_used_mb", 300.0) + gpu.extra_mb;
    for (const Process& p : gpu.processes) used += std::max(0.0, p.memory_mb);
    memory->total = bytes(gpu.said.value("memory_total_mb", 24576.0));
    memory->used = std::min(bytes(used), memory->total);
    memory->free = memory->total - memory->used;
    return kSuccess;
  });
}

int nvmlDeviceGetUtilizationRates(void* device, Utilization* utilization) {
  return ask(device, [&](const Gpu& gpu) {
    *utilization = {gpu.said.value("utilization_pct", 0U), 0};
    return kSuccess;
  });
}

int nvmlDeviceGetTemperature(void* device, int, unsigned* celsius) {
  return ask(device, [&](const Gpu& gpu) {
    *celsius = gpu.said.value("temperature_c", 40U);
    return kSuccess;
  });
}

int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  return ask(device, [&](const Gpu& gpu) {
    if (!gpu.said.contains("power_w")) return kNotSupported;
    *milliwatts = static_cast<unsigned>(gpu.said.at("power_w").get<double>() * 1000);
    return kSuccess;
  });
}

int nvmlDeviceGetMigMode(void* device, unsigned* current, unsigned* pending) {
  return ask(device, [&](const Gpu& gpu) {
    *current = *pending = gpu.said.value("mig", false) ? 1 : 0;
    return kSuccess;
  });
}

int nvmlDeviceGetComputeRunningProcesses_v3(void* device, unsigned* count, ProcessInfo* list) {
  return list_processes(device, count, list, false);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void* device, unsigned* count, ProcessInfo* list) {
  return list_processes(device, count, list, true);
}

}  // extern "C"
