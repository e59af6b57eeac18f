#include "server/launcher_set.h"

#include <utility>

#include "core/error.h"
#include "server/slurm/slurm_job.h"

namespace moelab::server {

LauncherSet::LauncherSet(std::unique_ptr<Launcher> processes, std::unique_ptr<Launcher> slurm, std::string why_no_slurm)
    : processes_(std::move(processes)), slurm_(std::move(slurm)), why_no_slurm_(std::move(why_no_slurm)) {}

Launcher& LauncherSet::owner(bool is_slurm) const {
  if (!is_slurm) return *processes_;
  if (!slurm_) throw core::Error(core::ErrorKind::config, "its worker is a Slurm job, and there is no Slurm here: " + why_no_slurm_);
  return *slurm_;
}

db::ProcessIdentity LauncherSet::spawn(const LaunchRequest& request) {
  return owner(request.kind == DeviceKind::slurm).spawn(request);
}
void LauncherSet::release(const db::ProcessIdentity& process) {
  owner(is_slurm_job(process)).release(process);
}
std::optional<Exit> LauncherSet::poll(const db::ProcessIdentity& process) {
  return owner(is_slurm_job(process)).poll(process);
}
void LauncherSet::forget(const db::ProcessIdentity& process) {
  owner(is_slurm_job(process)).forget(process);
}
bool LauncherSet::terminate(const db::ProcessIdentity& process) {
  return owner(is_slurm_job(process)).terminate(process);
}
void LauncherSet::kill(const db::ProcessIdentity& process) {
  owner(is_slurm_job(process)).kill(process);
}
std::string LauncherSet::waits(const db::ProcessIdentity& process) const {
  return owner(is_slurm_job(process)).waits(process);
}

}  // namespace moelab::server
