// Owns workers as child processes of the daemon: their environment, log file, process group and exit status. A worker has
// a session of its own, so Ctrl-C in the daemon's terminal does not reach it and it outlives the daemon's death.
#pragma once

#include <filesystem>
#include <map>

#include "server/launcher.h"

namespace moelab::server {

class ProcessLauncher final : public Launcher {
 public:
  // `worker` is the moelab-worker executable. Throws Error(config) when it is not there or cannot be executed.
  explicit ProcessLauncher(std::filesystem::path worker);
  ~ProcessLauncher() override;

  db::ProcessIdentity spawn(const LaunchRequest& request) override;
  void release(const db::ProcessIdentity& process) override;
  std::optional<Exit> poll(const db::ProcessIdentity& process) override;
  void forget(const db::ProcessIdentity& process) override;
  bool terminate(const db::ProcessIdentity& process) override;
  void kill(const db::ProcessIdentity& process) override;
  void wait_for_exit(std::chrono::milliseconds most) override;

 private:
  struct Child {
    db::ProcessIdentity process;
    int gate = -1;  // write end; the worker starts when a byte arrives, leaves when it closes
    bool killed_by_us = false;
    std::int64_t oom_kills = 0;  // the kernel's counter when the child was last seen alive
    std::optional<Exit> exit;
    int pidfd = -1;  // becomes readable when the child ends; -1 where the kernel has none
  };
  Child* child_of(const db::ProcessIdentity& process);

  std::filesystem::path worker_;
  std::map<std::int64_t, Child> children_;  // by pid
};

// moelab-worker beside the running executable.
std::filesystem::path default_worker();

}  // namespace moelab::server
