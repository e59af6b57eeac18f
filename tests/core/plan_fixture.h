// Owns how the tests of core make plans: a text, a directory, a request.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/plan.h"

namespace moelab::core {

// A directory of its own under the temporary directory, removed at the end.
class TempDir {
 public:
  TempDir() {
    static std::atomic<int> counter{0};
    path_ = std::filesystem::temp_directory_path() / ("moelab_core_test_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
    std::filesystem::create_directories(path_);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

 private:
  std::filesystem::path path_;
};

inline PlanRequest request_for(const std::string& text, const std::filesystem::path& base_dir = "/nonexistent") {
  PlanRequest request;
  request.source_text = text;
  request.source_name = "test.yaml";
  request.base_dir = base_dir;
  return request;
}

// A file that needs only its `experiments` (a YAML list) to be planned.
inline std::string with_experiments(const std::string& experiments, const std::string& defaults = "") {
  return "version: 1\nname: study\ndefaults:\n  data.path: corpus\n" + defaults + "experiments:\n" + experiments;
}

inline Plan plan_of(const std::string& experiments, const std::string& defaults = "") {
  return make_plan(request_for(with_experiments(experiments, defaults)));
}

inline std::vector<std::string> names_of(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlannedRun& run : plan.runs) names.push_back(run.spec.name);
  return names;
}

inline const PlannedRun& run_called(const Plan& plan, const std::string& name) {
  for (const PlannedRun& run : plan.runs) {
    if (run.spec.name == name || run.spec.experiment + '/' + run.spec.name == name) return run;
  }
  throw Error(ErrorKind::not_found, "no run " + name);
}

}  // namespace moelab::core
