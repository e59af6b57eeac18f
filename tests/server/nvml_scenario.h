// Owns the scenario file of the stand-in for NVIDIA's library (fake_nvml/), for tests in this process.
#pragma once

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/db/temp_dir.h"

namespace moelab::test {

class NvmlScenario {
 public:
  explicit NvmlScenario(int gpus = 0) {
    said["gpus"] = nlohmann::json::array();
    for (int i = 0; i < gpus; ++i) said["gpus"].push_back({{"uuid", "GPU-aaaa-" + std::to_string(i)}});
    save();
    ::setenv("MOELAB_FAKE_NVML", (dir_.path() / "nvml.json").c_str(), 1);
  }
  ~NvmlScenario() { ::unsetenv("MOELAB_FAKE_NVML"); }

  nlohmann::json& gpu(std::size_t index) { return said["gpus"][index]; }
  // From here on the driver tells what `said` says.
  void save() {
    write_text(dir_.path() / "new.json", said.dump());
    std::filesystem::rename(dir_.path() / "new.json", dir_.path() / "nvml.json");
  }
  const std::filesystem::path& dir() const { return dir_.path(); }

  nlohmann::json said;

 private:
  TempDir dir_;
};

}  // namespace moelab::test
