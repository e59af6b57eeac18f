// Owns what /proc tells about a process: whether a pid is still the process we knew, whose it is and what it runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "db/run_store.h"

namespace moelab::server {

struct ProcessInfo {
  std::string user;     // "?" when the process is gone or not ours to see
  std::string command;  // command line, at most 200 characters; "?" likewise
};
ProcessInfo process_info(std::int64_t pid);

// Identity of a live process; nothing when it is gone or a zombie.
std::optional<db::ProcessIdentity> identify(std::int64_t pid);
// The very process, not a successor with its pid, is there and not a zombie.
bool is_alive(const db::ProcessIdentity& process);
// A live process, of ours or another user's we may look into, that was started as the worker of `run_dir` (MOELAB_RUN_DIR).
std::optional<std::int64_t> find_worker(const std::string& run_dir);
// Changes with every boot of the machine.
const std::string& boot_id();
// OOM kills so far in this container if it counts its own, else on this machine; 0 when neither is told.
std::int64_t oom_kill_count();

}  // namespace moelab::server
