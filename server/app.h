// Owns the daemon without its HTTP front: home directory and lock, database, device inventory, dispatcher and ingest
// threads, and the services on top. Used by `moelab serve` (cli + http) and by `moelab run`, which brings its own.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace moelab::server {

class EventBus;
class MetricsRegistry;
class RunService;
class Webhooks;

// Runs as Slurm jobs, where Slurm's commands are installed.
struct SlurmSettings {
  int jobs = 64;                                    // at once; 0 = never
  bool by_default = false;                          // runs of resources.launcher "auto" go to Slurm
  bool leave_at_stop = true;                        // stop() leaves jobs alone, and the next start adopts them
  std::optional<std::chrono::seconds> most_time;    // of one job; nothing = as the partition allows
  std::vector<std::string> options;                 // further options of sbatch
  std::chrono::milliseconds interval{2000};         // between two questions to Slurm
};

struct AppOptions {
  std::filesystem::path home;           // created if missing
  std::filesystem::path worker;         // moelab-worker; empty = beside this executable
  int cpu_slots = 0;                    // 0 = min(4, cores)
  bool pin_cpus = true;                 // each slot to CPUs of its own
  int max_concurrent = 0;               // runs at once, whatever the devices; 0 = no limit
  bool webhook_private = false;         // webhooks may go to addresses that are not public
  std::optional<std::uint64_t> min_free_bytes;  // of the home's disk, below which no run is started; see disk_guard.h
  std::optional<std::uint64_t> quota_bytes;     // of the home; gc keeps to it once an hour
  std::chrono::milliseconds tick{100};  // of dispatcher and ingest
  std::chrono::seconds grace{60};       // between SIGTERM and SIGKILL of a worker; a checkpoint must fit in
  SlurmSettings slurm;
};

class App {
 public:
  // Locks the home, opens (or rebuilds) the database and re-adopts live workers. Throws Error: storage (home unwritable,
  // database corrupt), conflict (another daemon owns the home), config (no moelab-worker; Slurm by default, and none is here).
  explicit App(AppOptions options);
  // Calls stop() if nobody has.
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Starts the threads; runs are launched from here on.
  void start();
  // Asks every worker to checkpoint and leave, waits up to `grace`, then kills what is left. Runs that were training go
  // back to queued and go on with the next start. Closes the event bus. Idempotent; not for a signal handler.
  void stop();

  // Writes daemon.json {url, pid, token_file} atomically once the front listens; stop() removes it.
  // `token_file` is empty when no token is needed.
  void announce(const std::string& url, const std::filesystem::path& token_file);

  RunService& service();
  EventBus& bus();
  Webhooks& webhooks();
  MetricsRegistry& metrics();
  const std::filesystem::path& home() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// MOELAB_HOME, else ~/.moelab. Throws Error(usage) when neither it nor HOME is set.
std::filesystem::path default_home();

}  // namespace moelab::server
