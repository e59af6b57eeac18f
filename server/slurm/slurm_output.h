// Owns what Slurm's commands print, as values: squeue, sacct and sinfo in the formats asked for here; and what the end of a job says
// about its worker. Pure. Used by slurm_client and slurm_launcher. Formats: squeue(1), sacct(1), sinfo(1) of Slurm 22.05.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/launcher.h"

namespace moelab::server {

struct SlurmJob {
  std::int64_t id = 0;
  std::string state;   // in Slurm's words: "PENDING", "RUNNING", "NODE_FAIL"
  int status = 0;      // of the batch script, as waitpid(2) tells it
  std::string reason;  // why it is pending, or a word on its end: "Resources", "JobHeldUser"
  std::string name;
  std::string work_dir;                             // squeue only
  std::optional<std::chrono::seconds> ran, limit;  // squeue only; no limit: unlimited, or the partition's
};

struct SlurmPartition {
  std::string name;
  bool is_default = false, up = false;
  std::optional<std::chrono::seconds> most_time;  // nothing: no limit
  int gpus = 0, cpus = 0;                         // of its largest node
};

// What to ask for, for the parsers below.
inline constexpr const char* kSqueueFormat =
    "JobID:24|,State:24|,exit_code:16|,TimeUsed:24|,TimeLimit:24|,Reason:120|,Name:80|,WorkDir:1000|";
inline constexpr const char* kSacctFormat = "JobIDRaw,State,ExitCode,JobName";
inline constexpr const char* kSinfoFormat = "%P|%a|%l|%G|%c";

// One job a line; lines that are none are left out.
std::vector<SlurmJob> parse_squeue(const std::string& text);
std::vector<SlurmJob> parse_sacct(const std::string& text);
// By name; a partition of several kinds of nodes has several lines.
std::vector<SlurmPartition> parse_sinfo(const std::string& text);
// "5:00", "1:02:03", "2-00:00:00"; nothing for "UNLIMITED", "infinite", "INVALID" and the like.
std::optional<std::chrono::seconds> parse_slurm_time(std::string_view text);

bool is_held(const SlurmJob& job);     // waits at the gate
bool is_pending(const SlurmJob& job);  // has not begun
bool is_over(const SlurmJob& job);     // and nothing of it runs any more

// How the worker of a job that is over has ended. `warning` is how long before its limit Slurm was to send SIGTERM.
Exit exit_of(const SlurmJob& job, std::chrono::seconds warning);

}  // namespace moelab::server
