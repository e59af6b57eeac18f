#include "server/slurm/slurm_check.h"

#include <set>
#include <utility>

#include "core/error.h"
#include "core/nearest_name.h"
#include "server/slurm/slurm_submission.h"

namespace moelab::server {
namespace {

using core::LauncherKind;

std::string partition_text(const SlurmPartition& partition) {
  return "the largest node of Slurm's partition " + partition.name;
}

std::string did_you_mean(const std::string& name, const std::vector<SlurmPartition>& partitions) {
  std::vector<std::string> names;
  for (const SlurmPartition& partition : partitions) names.push_back(partition.name);
  return core::did_you_mean(name, names);
}

}  // namespace

SlurmCheck::SlurmCheck(SlurmClient client, bool by_default, int jobs) : client_(std::move(client)), by_default_(by_default), jobs_(jobs) {}

void SlurmCheck::require(const core::Plan& plan, const std::string& source_name) const {
  std::vector<const core::PlannedRun*> runs;
  for (const core::PlannedRun& run : plan.runs) {
    const LauncherKind launcher = run.spec.config.resources.launcher;
    if (launcher == LauncherKind::slurm || (launcher == LauncherKind::automatic && by_default_)) runs.push_back(&run);
  }
  if (runs.empty()) return;

  std::vector<core::Problem> problems;
  std::set<std::string> seen;
  const auto report = [&](const core::PlannedRun& run, const char* path, const std::string& message) {
    if (seen.insert(path + message).second)
      problems.push_back({path, 0, message + " (run " + run.spec.experiment + '/' + run.spec.name + ")"});
  };
  std::vector<SlurmPartition> partitions;
  if (const std::string missing = SlurmClient::why_not_installed(); !missing.empty()) {
    report(*runs.front(), "resources.launcher", "is slurm, but " + missing + "; start the daemon where Slurm's commands are");
  } else if (jobs_ == 0) {
    report(*runs.front(), "resources.launcher", "is slurm, but this daemon was started with --slurm-jobs 0");
  } else {
    try {
      partitions = client_.partitions();
    } catch (const core::Error& e) {
      if (e.kind() != core::ErrorKind::unreachable) report(*runs.front(), "resources.launcher", std::string("is slurm, but ") + e.what());
    }
  }
  for (const core::PlannedRun* run : runs) {
    if (partitions.empty()) break;
    const core::ResourceConfig& wanted = run->spec.config.resources;
    const SlurmPartition* partition = partition_of(partitions, wanted.partition);
    if (!partition && !wanted.partition.empty()) {
      report(*run, "resources.partition", "Slurm has no partition '" + wanted.partition + "'" + did_you_mean(wanted.partition, partitions));
    }
    if (!partition) continue;
    if (wanted.gpus.value_or(0) > partition->gpus) {
      report(*run, "resources.gpus", "asks for " + std::to_string(*wanted.gpus) + " GPU, and " + partition_text(*partition) + " has " +
                                         std::to_string(partition->gpus));
    }
    if (wanted.cpus.value_or(0) > partition->cpus) {
      report(*run, "resources.cpus", "asks for " + std::to_string(*wanted.cpus) + " threads, and " + partition_text(*partition) + " has " +
                                         std::to_string(partition->cpus) + " CPUs");
    }
  }
  if (!problems.empty()) throw core::Error(core::ErrorKind::config, source_name, std::move(problems));
}

}  // namespace moelab::server
