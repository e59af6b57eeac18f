// Owns talking to Slurm: one function a question or order, each one short command without a shell. Used by slurm_launcher and at
// submission; safe to call from any thread. Every function throws core::Error:
//   unreachable  Slurm did not answer in time, or its controller is down; the order may still have been carried out
//   config       Slurm refuses the order, and would again (no such partition, account, node)
//   storage      anything else; what Slurm said is the message
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "server/slurm/command.h"
#include "server/slurm/slurm_output.h"

namespace moelab::server {

inline constexpr std::chrono::seconds kSlurmPatience{20};  // for one command; Slurm's own MessageTimeout is 10 s

using SlurmRunner = std::function<CommandResult(const std::vector<std::string>& arguments, const std::vector<std::string>& environment)>;

class SlurmClient {
 public:
  // `run` is run_command but in tests.
  explicit SlurmClient(SlurmRunner run = {});

  // Why no job can be submitted from here, as a sentence; empty when the commands are installed.
  static std::string why_not_installed();

  std::string cluster() const;                     // its name
  std::vector<SlurmPartition> partitions() const;  // that this user can see
  std::vector<SlurmJob> jobs() const;              // this user's, those that ended a little ago included
  // As the accounting knows them, those that squeue has forgotten included; nothing where there is no accounting.
  std::vector<SlurmJob> accounted(const std::vector<std::int64_t>& jobs) const;

  // `arguments` are those of sbatch after "sbatch --parsable". Returns the job's number.
  std::int64_t submit(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) const;
  void release(std::int64_t job) const;                                  // lets a held job go
  void signal_batch(std::int64_t job, const std::string& signal) const;  // "TERM", to the worker alone
  void cancel_if_pending(std::int64_t job) const;
  void cancel(std::int64_t job) const;  // all of it: SIGTERM, then SIGKILL after Slurm's KillWait

 private:
  std::string ask(const std::vector<std::string>& arguments) const;
  std::string answer(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) const;

  SlurmRunner run_;
};

// The daemon's environment without its secrets and without what would change the meaning of Slurm's commands (SBATCH_*, SQUEUE_FORMAT
// and the like, or a surrounding job's SLURM_*).
std::vector<std::string> slurm_environment();

}  // namespace moelab::server
