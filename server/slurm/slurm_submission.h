// Owns what a run looks like as a Slurm job: the arguments of sbatch, the batch script and the job's environment. Pure. Used by
// slurm_launcher.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "server/launcher.h"
#include "server/slurm/slurm_output.h"

namespace moelab::server {

// What a daemon asks of Slurm beside what its runs say.
struct SlurmRules {
  std::filesystem::path worker;                    // moelab-worker, under the same name on every node
  std::chrono::seconds warning{60};                // SIGTERM comes this long before the end of a job: a checkpoint must fit in
  std::optional<std::chrono::seconds> most_time;  // of one job; a longer run takes several, from checkpoint to checkpoint
  std::vector<std::string> options;                // further options of sbatch, from the operator
};

// "moelab-7". Tells the job of a run from a stranger's that has got its number.
std::string slurm_job_name(std::int64_t run_id);

// The partition a run goes to; nothing when Slurm knows none by that name.
const SlurmPartition* partition_of(const std::vector<SlurmPartition>& partitions, const std::string& name);

// GPUs of a run: what it asks for, else one where the partition has any.
std::int64_t gpus_of(const core::ResourceConfig& resources, const SlurmPartition* partition);

// What follows "sbatch --parsable". `script` holds kBatchScript.
std::vector<std::string> sbatch_arguments(const LaunchRequest& request, const SlurmRules& rules, const SlurmPartition* partition,
                                          const std::filesystem::path& script);
// `base`: slurm_environment().
std::vector<std::string> job_environment(const LaunchRequest& request, std::vector<std::string> base);

// Becomes the worker, so that Slurm's signals reach it. Slurm itself must not run an attempt a second time: Moelab counts attempts.
inline constexpr const char* kBatchScript =
    "#!/bin/sh\n"
    "# Started by Slurm for Moelab with the worker and its arguments.\n"
    "[ \"${SLURM_RESTART_COUNT:-0}\" = 0 ] || exit 75\n"
    "exec \"$@\"\n";

}  // namespace moelab::server
