#include "server/devices/nvml_inventory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <thread>

#include "server/devices/nvml_api.h"
#include "server/process_info.h"

namespace moelab::server {
namespace {

constexpr double kBytesPerMb = 1024.0 * 1024.0;
constexpr unsigned long long kNotKnown = ~0ULL;

using TextFunction = int (*)(NvmlDevice, char*, unsigned);
using ProcessFunction = int (*)(NvmlDevice, unsigned*, NvmlProcess*);

std::string read_text(TextFunction function, NvmlDevice device) {
  std::array<char, 128> buffer{};
  return function(device, buffer.data(), static_cast<unsigned>(buffer.size() - 1)) == kNvmlSuccess ? buffer.data() : "";
}

// Does an entry of CUDA_VISIBLE_DEVICES mean this GPU?
bool selects(const std::string& entry, const Device& device) {
  int index = 0;
  const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), index);
  if (error == std::errc{} && end == entry.data() + entry.size()) return index == device.index;
  return entry.starts_with("GPU-") && device.uuid.starts_with(entry);
}

std::vector<NvmlProcess> read_processes(ProcessFunction function, NvmlDevice handle) {
  std::vector<NvmlProcess> list(16);
  auto count = static_cast<unsigned>(list.size());
  int result = function(handle, &count, list.data());
  while (result == kNvmlInsufficientSize) {
    list.resize(count + 16);  // more may start meanwhile
    count = static_cast<unsigned>(list.size());
    result = function(handle, &count, list.data());
  }
  list.resize(result == kNvmlSuccess ? count : 0);
  return list;
}

DeviceProcess describe_process(const NvmlProcess& raw, bool graphics) {
  DeviceProcess process;
  process.pid = raw.pid;
  const ProcessInfo info = process_info(process.pid);
  process.user = info.user;
  process.command = info.command;
  if (raw.used_memory != kNotKnown) process.memory_mb = static_cast<double>(raw.used_memory) / kBytesPerMb;
  const pid_t session = ::getsid(static_cast<pid_t>(raw.pid));
  process.session = std::max(0, session);
  process.hidden = session < 0;
  process.graphics = graphics;
  return process;
}

class NvmlInventory final : public DeviceInventory {
 public:
  NvmlInventory(std::optional<std::string> pool, std::chrono::milliseconds retry) : pool_(std::move(pool)), retry_(retry) {}

  std::string name() const override { return known_.empty() ? "cpu" : "nvml"; }

  std::string note() const override {
    if (!trouble_.empty()) return (known_.empty() ? "No GPUs: " : "GPUs cannot be read: ") + trouble_;
    const std::string pool = pool_ ? "CUDA_VISIBLE_DEVICES=" + *pool_ : "";
    if (known_.empty()) return "No GPUs: the NVIDIA driver finds none";
    if (pool_ && chosen_.empty()) return "No GPUs: " + pool + " selects none";
    return pool_ ? "Limited by " + pool : "";
  }

  std::vector<Device> list() override {
    start();
    std::vector<Device> readings = read_all();
    for (Device& gpu : readings) identify_gpu(gpu);
    for (Device& gpu : known_) {
      const auto present = std::find_if(readings.begin(), readings.end(), [&](const Device& r) { return r.id == gpu.id; });
      if (present != readings.end()) {
        gpu = *present;
      } else {
        gpu.fault = trouble_.empty() ? "is no longer listed by the driver" : "cannot be read: " + trouble_;
        gpu.processes.clear();
        gpu.memory_used_mb = gpu.utilization_pct = gpu.temperature_c = gpu.power_w = std::nullopt;
      }
    }
    choose();
    std::vector<Device> pool;
    std::copy_if(known_.begin(), known_.end(), std::back_inserter(pool),
                 [this](const Device& d) { return !pool_ || std::find(chosen_.begin(), chosen_.end(), d.id) != chosen_.end(); });
    return pool;
  }

 private:
  // Loads the library and connects to the driver, unless that is done or was tried a moment ago.
  void start() {
    if (running_) return;
    const auto now = std::chrono::steady_clock::now();
    if (last_try_ && now - *last_try_ < retry_) return;
    last_try_ = now;
    if (!table_ && !(table_ = load_nvml(&trouble_))) return;
    const int result = table_->init();
    running_ = result == kNvmlSuccess;
    trouble_ = running_ ? "" : init_trouble(result);
  }

  std::string init_trouble(int result) const {
    switch (result) {
      case kNvmlDriverNotLoaded: return "the NVIDIA driver is not loaded";
      case kNvmlNoPermission: return "this user may not use the NVIDIA driver";
      case kNvmlVersionMismatch: return "the NVIDIA driver was updated under the running system: restart the machine";
      default: return std::string("the NVIDIA driver does not answer (") + table_->error_text(result) + ")";
    }
  }

  std::string fault_of(int result) const {
    switch (result) {
      case kNvmlGpuIsLost: return "has fallen off the bus: restart the machine";
      case kNvmlResetRequired: return "must be reset with nvidia-smi --gpu-reset";
      default: return std::string("cannot be read (") + table_->error_text(result) + ")";
    }
  }

  std::vector<Device> read_all() {
    std::vector<Device> all;
    if (!running_) return all;
    unsigned count = 0;
    if (const int result = table_->device_count(&count); result != kNvmlSuccess) {
      // Not one GPU but the driver has gone; the next try connects anew.
      trouble_ = init_trouble(result);
      table_->shutdown();
      running_ = false;
      return all;
    }
    for (unsigned index = 0; index < count; ++index) all.push_back(read(index));
    return all;
  }

  Device read(unsigned index) {
    Device gpu;
    gpu.kind = DeviceKind::gpu;
    gpu.index = static_cast<int>(index);
    gpu.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 2);
    NvmlDevice handle = nullptr;
    NvmlMemory memory{};
    int result = table_->handle_by_index(index, &handle);
    if (result == kNvmlSuccess) {
      gpu.name = read_text(table_->name, handle);
      gpu.uuid = read_text(table_->uuid, handle);
      result = table_->memory(handle, &memory);
    }
    if (result != kNvmlSuccess) {
      gpu.fault = fault_of(result);
      return gpu;
    }
    gpu.memory_total_mb = static_cast<double>(memory.total) / kBytesPerMb;
    gpu.memory_used_mb = static_cast<double>(memory.used) / kBytesPerMb;
    NvmlUtilization utilization{};
    if (table_->utilization(handle, &utilization) == kNvmlSuccess) gpu.utilization_pct = utilization.gpu;
    unsigned celsius = 0, milliwatts = 0, mig = 0, pending = 0;
    if (table_->temperature && table_->temperature(handle, kNvmlTemperatureGpu, &celsius) == kNvmlSuccess) gpu.temperature_c = celsius;
    if (table_->power && table_->power(handle, &milliwatts) == kNvmlSuccess) gpu.power_w = milliwatts / 1000.0;
    gpu.mig = table_->mig_mode && table_->mig_mode(handle, &mig, &pending) == kNvmlSuccess && mig != 0;
    for (const NvmlProcess& raw : read_processes(table_->compute_processes, handle)) gpu.processes.push_back(describe_process(raw, false));
    if (!table_->graphics_processes) return gpu;
    for (const NvmlProcess& raw : read_processes(table_->graphics_processes, handle)) {
      const auto same = [&](const DeviceProcess& p) { return p.pid == raw.pid; };
      if (std::none_of(gpu.processes.begin(), gpu.processes.end(), same)) gpu.processes.push_back(describe_process(raw, true));
    }
    return gpu;
  }

  // Gives a reading the number that its GPU had before, by UUID; a lost GPU no longer tells that, so by index.
  void identify_gpu(Device& gpu) {
    const auto same_uuid = [&](const Device& known) { return !gpu.uuid.empty() && known.uuid == gpu.uuid; };
    const auto same_index = [&](const Device& known) {
      return (gpu.uuid.empty() || known.uuid.empty()) && known.index == gpu.index;
    };
    auto earlier = std::find_if(known_.begin(), known_.end(), same_uuid);
    if (earlier == known_.end()) earlier = std::find_if(known_.begin(), known_.end(), same_index);
    if (earlier != known_.end()) {
      gpu.id = earlier->id;
      if (gpu.uuid.empty()) gpu.uuid = earlier->uuid;
      if (gpu.name.empty()) gpu.name = earlier->name;
      if (!gpu.memory_total_mb) gpu.memory_total_mb = earlier->memory_total_mb;
      return;
    }
    int number = gpu.index;
    const auto taken = [&](const Device& known) { return known.id == "gpu" + std::to_string(number); };
    while (std::any_of(known_.begin(), known_.end(), taken)) ++number;
    gpu.id = "gpu" + std::to_string(number);
    known_.push_back(gpu);
  }

  // Reads the pool when the first GPUs are seen: later an index may mean another GPU.
  void choose() {
    if (!pool_ || !chosen_.empty()) return;
    std::istringstream entries(*pool_);
    for (std::string entry; std::getline(entries, entry, ',');) {
      entry.erase(std::remove(entry.begin(), entry.end(), ' '), entry.end());
      const auto found = std::find_if(known_.begin(), known_.end(), [&](const Device& d) { return selects(entry, d); });
      if (found == known_.end()) break;
      chosen_.push_back(found->id);
    }
  }

  const std::optional<std::string> pool_;
  const std::chrono::milliseconds retry_;
  std::optional<NvmlTable> table_;
  bool running_ = false;
  std::string trouble_;  // why there is no answer at all
  std::optional<std::chrono::steady_clock::time_point> last_try_;
  std::vector<Device> known_;        // every GPU ever seen, by number
  std::vector<std::string> chosen_;  // ids in the pool
};

}  // namespace

std::unique_ptr<DeviceInventory> make_nvml_inventory(std::optional<std::string> pool, std::chrono::milliseconds retry) {
  return std::make_unique<NvmlInventory>(std::move(pool), retry);
}

}  // namespace moelab::server
