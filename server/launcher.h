// Owns how a worker process is started, watched and stopped. The dispatcher decides; implementations are process_launcher
// and the simulated one in tests. Used from the dispatcher's thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/config.h"
#include "db/run_store.h"
#include "server/devices/device_kind.h"

namespace moelab::server {

struct LaunchRequest {
  std::int64_t run_id = 0;
  int attempt = 1;
  std::filesystem::path run_dir;
  std::filesystem::path cache_dir;
  DeviceKind kind = DeviceKind::cpu;
  int gpu_index = 0;  // for a GPU: in PCI bus order
  int threads = 1;
  core::ResourceConfig resources;  // as the run's file says
  std::string gpu_uuid;            // of a GPU; empty = known by its index only
  std::vector<int> cpus;           // to pin the worker to; empty = not at all
  std::optional<std::chrono::seconds> time_left;  // of resources.timeout; nothing = no limit
};

// How a worker has ended. A worker that an earlier daemon started is not our child: then nobody can tell, both are empty.
struct Exit {
  std::optional<int> code;    // it left by itself
  std::optional<int> signal;  // it was killed
  bool oom_killed = false;    // by SIGKILL, not ours, while the kernel counted an out-of-memory kill
  bool rebooted = false;      // the machine was started again since: nothing that lived then lives
  std::string note = {};      // what the launcher knows of the end beyond that, as a sentence; may be empty
  bool not_its_fault = false; // the place took it away (a node failed, a job's time limit came): queued again, not a restart
  bool cancelled = false;      // somebody else ended it for good, where it ran
};

class Launcher {
 public:
  virtual ~Launcher() = default;
  // Starts a worker that waits at a gate: nothing of it runs before release(). So its identity can be made durable first;
  // should the daemon die in between, the worker leaves without a trace. Throws core::Error when it cannot start: config when it
  // never will, unreachable when it is the place that cannot take it now, anything else when the next try may work.
  virtual db::ProcessIdentity spawn(const LaunchRequest& request) = 0;
  virtual void release(const db::ProcessIdentity& process) = 0;
  // Nothing while it lives. Answers the same until forget().
  virtual std::optional<Exit> poll(const db::ProcessIdentity& process) = 0;
  // A worker that was never released leaves.
  virtual void forget(const db::ProcessIdentity& process) = 0;
  // SIGTERM to the worker: checkpoint and leave. False when it has not reached it yet; then it is to be asked again.
  virtual bool terminate(const db::ProcessIdentity& process) = 0;
  // SIGKILL to its whole process group.
  virtual void kill(const db::ProcessIdentity& process) = 0;
  // Returns when a worker of this daemon has ended that poll() has not told of yet, and after `most` at the latest.
  virtual void wait_for_exit(std::chrono::milliseconds most) { std::this_thread::sleep_for(most); }
  // Why a released worker does not work now, as a sentence: it has not begun, or was suspended. Empty when it does, or is about to.
  virtual std::string waits(const db::ProcessIdentity&) const { return ""; }
};

}  // namespace moelab::server
