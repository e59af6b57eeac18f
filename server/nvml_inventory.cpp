#include "server/nvml_inventory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "server/process_info.h"

namespace moelab::server {
namespace {

constexpr double kBytesPerMb = 1024.0 * 1024.0;
constexpr unsigned long long kNotKnown = ~0ULL;

using TextFunction = int (*)(NvmlDevice, char*, unsigned);

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

class NvmlInventory final : public DeviceInventory {
 public:
  NvmlInventory(const NvmlTable& table, std::optional<std::string> pool) : table_(table), pool_(std::move(pool)) {}

  std::string name() const override { return "nvml"; }
  std::string note() const override { return pool_ ? "Limited by CUDA_VISIBLE_DEVICES=" + *pool_ : ""; }

  std::vector<Device> list() override {
    std::vector<Device> all;
    unsigned count = 0;
    if (table_.device_count(&count) != kNvmlSuccess) return all;
    for (unsigned index = 0; index < count; ++index) all.push_back(read(index));
    return in_pool(std::move(all));
  }

 private:
  Device read(unsigned index) {
    Device gpu;
    gpu.id = "gpu" + std::to_string(index);
    gpu.kind = DeviceKind::gpu;
    gpu.index = static_cast<int>(index);
    gpu.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 2);
    NvmlDevice handle = nullptr;
    if (table_.handle_by_index(index, &handle) != kNvmlSuccess) {
      gpu.fault = "is lost to the driver";
      return gpu;
    }
    gpu.name = read_text(table_.name, handle);
    gpu.uuid = read_text(table_.uuid, handle);
    NvmlMemory memory{};
    if (table_.memory(handle, &memory) != kNvmlSuccess) {
      gpu.fault = "is lost to the driver";
      return gpu;
    }
    gpu.memory_total_mb = static_cast<double>(memory.total) / kBytesPerMb;
    gpu.memory_used_mb = static_cast<double>(memory.used) / kBytesPerMb;
    NvmlUtilization utilization{};
    if (table_.utilization(handle, &utilization) == kNvmlSuccess) gpu.utilization_pct = utilization.gpu;
    unsigned mig = 0, pending = 0;
    if (table_.mig_mode && table_.mig_mode(handle, &mig, &pending) == kNvmlSuccess && mig != 0) gpu.mig = true;
    gpu.processes = read_processes(handle);
    return gpu;
  }

  std::vector<DeviceProcess> read_processes(NvmlDevice handle) {
    std::vector<NvmlProcess> raw(16);
    unsigned count = static_cast<unsigned>(raw.size());
    int result = table_.processes(handle, &count, raw.data());
    while (result == kNvmlInsufficientSize) {
      raw.resize(count + 16);  // more may start meanwhile
      count = static_cast<unsigned>(raw.size());
      result = table_.processes(handle, &count, raw.data());
    }
    std::vector<DeviceProcess> list;
    if (result != kNvmlSuccess) return list;
    for (unsigned i = 0; i < count; ++i) {
      const ProcessInfo info = process_info(raw[i].pid);
      DeviceProcess process{raw[i].pid, info.user, info.command};
      if (raw[i].used_memory != kNotKnown) process.memory_mb = static_cast<double>(raw[i].used_memory) / kBytesPerMb;
      const pid_t session = ::getsid(static_cast<pid_t>(raw[i].pid));
      process.hidden = session < 0;
      process.session = std::max(0, session);
      list.push_back(std::move(process));
    }
    return list;
  }

  std::vector<Device> in_pool(std::vector<Device> all) const {
    if (!pool_) return all;
    std::vector<Device> chosen;
    std::istringstream entries(*pool_);
    for (std::string entry; std::getline(entries, entry, ',');) {
      entry.erase(std::remove(entry.begin(), entry.end(), ' '), entry.end());
      const auto found = std::find_if(all.begin(), all.end(), [&](const Device& d) { return selects(entry, d); });
      if (found == all.end()) break;
      chosen.push_back(*found);
    }
    std::sort(chosen.begin(), chosen.end(), [](const Device& a, const Device& b) { return a.index < b.index; });
    return chosen;
  }

  NvmlTable table_;
  std::optional<std::string> pool_;
};

}  // namespace

std::unique_ptr<DeviceInventory> make_nvml_inventory(const NvmlTable& table, const std::optional<std::string>& pool, std::string* why_not) {
  if (table.init() != kNvmlSuccess) {
    *why_not = "No GPUs: the NVIDIA driver does not answer";
    return nullptr;
  }
  auto inventory = std::make_unique<NvmlInventory>(table, pool);
  const std::vector<Device> devices = inventory->list();
  if (devices.empty()) {
    *why_not = pool ? "No GPUs: CUDA_VISIBLE_DEVICES=" + *pool + " selects none" : "No GPUs: the NVIDIA driver finds none";
    return nullptr;
  }
  return inventory;
}

std::unique_ptr<DeviceInventory> make_nvml_inventory(std::string* why_not) {
  const std::optional<NvmlTable> table = load_nvml(why_not);
  if (!table) return nullptr;
  const char* pool = std::getenv("CUDA_VISIBLE_DEVICES");
  return make_nvml_inventory(*table, pool ? std::optional<std::string>(pool) : std::nullopt, why_not);
}

}  // namespace moelab::server
