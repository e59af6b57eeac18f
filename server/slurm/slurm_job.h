// Owns how a Slurm job is written down as the identity of a worker: pid = the job's number, start_ticks = the run it is for (its name is
// checked against it, since numbers come again), boot_id = "slurm:" and the cluster. Used by the launchers and the dispatcher.
#pragma once

#include <cstdint>
#include <string>

#include "db/run_store.h"

namespace moelab::server {

inline constexpr const char* kSlurmBootId = "slurm:";

inline bool is_slurm_job(const db::ProcessIdentity& process) {
  return process.boot_id.starts_with(kSlurmBootId);
}
// Its job has begun no work yet: such a time is no running time.
inline bool starts_in_slurm(const db::RunRow& run) {
  return run.state == core::RunState::starting && run.process && is_slurm_job(*run.process);
}
inline db::ProcessIdentity slurm_identity(std::int64_t job, std::int64_t run_id, const std::string& cluster) {
  return {job, run_id, kSlurmBootId + cluster};
}

}  // namespace moelab::server
