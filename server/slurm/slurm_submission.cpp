#include "server/slurm/slurm_submission.h"

#include <algorithm>
#include <cmath>

namespace moelab::server {
namespace {


constexpr std::chrono::seconds kMinute{60};  // Slurm counts limits in minutes, and may warn a minute early
constexpr double kBytesPerGb = 1e9, kBytesPerSlurmMegabyte = 1024.0 * 1024.0;

// sbatch replaces "%j" and the like in names of files.
std::string without_patterns(const std::string& path) {
  std::string text;
  for (const char c : path) text += c == '%' ? "%%" : std::string(1, c);
  return text;
}

// As long as the run may still take, but no longer than the operator or the partition allows; nothing: the partition decides.
std::optional<std::chrono::seconds> time_limit(const LaunchRequest& request, const SlurmRules& rules, const SlurmPartition* partition) {
  std::optional<std::chrono::seconds> limit;
  const auto at_most = [&](std::chrono::seconds time) { limit = limit ? std::min(*limit, time) : time; };
  if (request.time_left) at_most(std::max(*request.time_left, std::chrono::seconds(0)) + rules.warning + kMinute);
  if (rules.most_time) at_most(*rules.most_time);
  if (limit && partition && partition->most_time) at_most(*partition->most_time);
  return limit;
}

}  // namespace

std::string slurm_job_name(std::int64_t run_id) {
  return "moelab-" + std::to_string(run_id);
}

const SlurmPartition* partition_of(const std::vector<SlurmPartition>& partitions, const std::string& name) {
  const auto found = std::find_if(partitions.begin(), partitions.end(),
                                  [&](const SlurmPartition& p) { return name.empty() ? p.is_default : p.name == name; });
  return found == partitions.end() ? nullptr : &*found;
}

std::int64_t gpus_of(const core::ResourceConfig& resources, const SlurmPartition* partition) {
  return resources.gpus.value_or(partition && partition->gpus > 0 ? 1 : 0);
}

std::vector<std::string> sbatch_arguments(const LaunchRequest& request, const SlurmRules& rules, const SlurmPartition* partition,
                                          const std::filesystem::path& script) {
  const core::ResourceConfig& resources = request.resources;
  const std::int64_t gpus = gpus_of(resources, partition);
  const std::string threads = std::to_string(request.threads);
  std::vector<std::string> list{"--hold",
                                "--no-requeue",
                                "--export=ALL",
                                "--open-mode=append",
                                "--job-name=" + slurm_job_name(request.run_id),
                                "--output=" + without_patterns((request.run_dir / "worker.log").string()),
                                "--chdir=" + request.run_dir.string(),
                                "--nodes=1",
                                "--ntasks=1",
                                "--cpus-per-task=" + threads,
                                "--signal=B:TERM@" + std::to_string(rules.warning.count())};
  if (gpus > 0) list.push_back("--gres=gpu:" + std::to_string(gpus));
  if (resources.memory_gb) {
    const auto megabytes = static_cast<std::int64_t>(std::ceil(*resources.memory_gb * kBytesPerGb / kBytesPerSlurmMegabyte));
    list.push_back("--mem=" + std::to_string(megabytes));
  }
  if (const auto limit = time_limit(request, rules, partition)) {
    list.push_back("--time=" + std::to_string((limit->count() + kMinute.count() - 1) / kMinute.count()));
  }
  if (!resources.partition.empty()) list.push_back("--partition=" + resources.partition);
  if (!resources.account.empty()) list.push_back("--account=" + resources.account);
  if (!resources.qos.empty()) list.push_back("--qos=" + resources.qos);
  list.insert(list.end(), rules.options.begin(), rules.options.end());
  const std::vector<std::string> worker{script.string(),
                                        rules.worker.string(),
                                        "train",
                                        "--run-dir",
                                        request.run_dir.string(),
                                        "--cache-dir",
                                        request.cache_dir.string(),
                                        "--attempt",
                                        std::to_string(request.attempt),
                                        "--device",
                                        gpus > 0 ? "cuda" : "cpu",
                                        "--threads",
                                        threads};
  list.insert(list.end(), worker.begin(), worker.end());
  return list;
}

std::vector<std::string> job_environment(const LaunchRequest& request, std::vector<std::string> base) {
  const std::string threads = std::to_string(request.threads);
  const std::vector<std::pair<std::string, std::string>> added{
      {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"},
      {"MOELAB_RUN_ID", std::to_string(request.run_id)},
      {"MOELAB_RUN_DIR", request.run_dir.string()},
      {"MOELAB_ATTEMPT", std::to_string(request.attempt)},
      {"OMP_NUM_THREADS", threads},
      {"MKL_NUM_THREADS", threads},
  };
  for (const auto& [name, value] : added) {
    std::erase_if(base, [&](const std::string& entry) { return entry.starts_with(name + "="); });
    base.push_back(name + "=" + value);
  }
  return base;
}

}  // namespace moelab::server
