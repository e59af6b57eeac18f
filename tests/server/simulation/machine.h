// Owns what outlives the daemon: a machine with its processes, devices and disk. Workers train on it step by step, checkpoint, crash,
// hang and leave; GPUs fall off the bus, are used by others, keep the memory of the dead; the machine is started again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/devices/device_inventory.h"
#include "server/launcher.h"
#include "server/paths.h"
#include "tests/server/engine_fixture.h"

namespace moelab::sim {

inline constexpr std::int64_t kMaxSteps = 6;
inline constexpr std::int64_t kSaveEvery = 2;
inline constexpr double kGpuMemoryMb = 24'000;

struct Worker {
  std::int64_t run = 0;
  int attempt = 0;
  std::string device;    // granted
  std::string seat;      // where it computes: rarely on another GPU than the granted one
  bool shares = false;   // resources.share_gpu
  double memory_mb = 0;  // on a GPU
  db::ProcessIdentity identity;
  std::int64_t step = 0;
  std::unique_ptr<test::JournalWriter> journal;
  bool released = false, started = false, alive = true;
  bool asked_to_leave = false;
  bool deaf = false;   // to SIGTERM
  bool hung = false;   // lives and does nothing
  bool child = true;   // of the daemon that lives now
  bool moved = false;  // it has journalled a step
  std::chrono::nanoseconds progressed_at{}, spawned_at{}, ended_at{};  // steady
  std::optional<std::chrono::nanoseconds> asked_at;                    // steady: the first SIGTERM
  bool seen_astray = false;                                            // a reading showed it on a GPU that is not its own
  int ticks_astray = 0;                                                // whole ticks since, while it trained on
  server::Exit exit;
};

struct Gpu {
  bool lost = false;
  bool used_by_others = false;
  double leaked_mb = 0;                  // of the last one that left some
  std::int64_t leaked_by = 0;            // its run
  std::chrono::nanoseconds leaked_at{};  // steady
  // As the daemon has read it last.
  bool read_as_unfit = false;
};

class Machine {
 public:
  Machine(std::mt19937& random, const server::HomePaths& paths, const test::ManualClock& clock);

  // A process for a run; it waits at its gate. `trouble`: it may be deaf, or come to sit on a GPU that is not its own.
  db::ProcessIdentity spawn(const server::LaunchRequest& request, const std::string& device, bool trouble);
  // The process of exactly this identity; nullptr when there is none any more.
  Worker* find(const db::ProcessIdentity& process);
  void kill(Worker& worker, int signal);
  // How long workers of a run have lived.
  std::chrono::nanoseconds lived(std::int64_t run) const;
  // Has done nothing for so long that it may be taken for hanging.
  bool has_stalled(const Worker& worker) const { return clock_.steady() - worker.progressed_at > std::chrono::seconds(10); }
  std::vector<server::Device> devices();
  std::chrono::nanoseconds now() const { return clock_.steady(); }

  // Everybody computes for a moment. `trouble`: crashes, hangs and the like may happen.
  void work(bool trouble);
  void daemon_died();
  void reboot();
  void toggle_gpu_loss(const std::string& id);
  void toggle_others(const std::string& id);
  void heal();  // devices come back, nobody is deaf or hangs
  // Its gate closes.
  void turn_away(Worker& worker) {
    if (worker.alive && !worker.released) shut(worker);
  }

  const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  const std::string& boot_id() const { return boot_id_; }
  std::map<std::string, Gpu> gpus{{"gpu0", {}}, {"gpu1", {}}};
  std::map<std::int64_t, int> crashes;                           // of workers, by run: what a restart may be charged for
  std::map<std::int64_t, std::chrono::nanoseconds> crashed_at;  // steady, the last one
  std::set<std::pair<std::int64_t, int>> completed;              // runs and attempts whose worker said so

 private:
  void train(Worker& worker, bool trouble);
  void crash(Worker& worker, int signal);
  void leave(Worker& worker, const std::string& status, const std::string& reason, int code);
  void end(Worker& worker);   // its GPU may keep its memory for a while
  void shut(Worker& worker);  // without a trace
  std::int64_t saved_step(std::int64_t run) const;
  void save(const Worker& worker) const;
  bool one_in(unsigned n) { return random_() % n == 0; }

  std::mt19937& random_;
  const server::HomePaths& paths_;
  const test::ManualClock& clock_;
  std::vector<std::unique_ptr<Worker>> workers_;  // living and dead
  std::string boot_id_ = "boot0";
  std::int64_t next_pid_ = 1000, ticks_ = 0;
  int boots_ = 0;
};

}  // namespace moelab::sim
