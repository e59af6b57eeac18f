// Owns both ways to start a worker, as a process here and as a Slurm job, behind one Launcher: a request goes where its device is, and
// everything later where the worker's identity says. Used by the dispatcher.
#pragma once

#include <memory>
#include <string>

#include "server/launcher.h"

namespace moelab::server {

class LauncherSet final : public Launcher {
 public:
  // `slurm` may be null; then `why_no_slurm` says why in errors about runs that need it.
  LauncherSet(std::unique_ptr<Launcher> processes, std::unique_ptr<Launcher> slurm, std::string why_no_slurm);

  db::ProcessIdentity spawn(const LaunchRequest& request) override;
  void release(const db::ProcessIdentity& process) override;
  // This and the following throw Error(config) for a Slurm job when there is no Slurm here: nobody can tell then.
  std::optional<Exit> poll(const db::ProcessIdentity& process) override;
  void forget(const db::ProcessIdentity& process) override;
  bool terminate(const db::ProcessIdentity& process) override;
  void kill(const db::ProcessIdentity& process) override;
  void wait_for_exit(std::chrono::milliseconds most) override { processes_->wait_for_exit(most); }
  std::string waits(const db::ProcessIdentity& process) const override;

 private:
  Launcher& owner(bool is_slurm) const;

  std::unique_ptr<Launcher> processes_, slurm_;
  std::string why_no_slurm_;
};

}  // namespace moelab::server
