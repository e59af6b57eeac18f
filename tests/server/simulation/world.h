// Owns one history: a home, a machine, a daemon of the real engine's parts, people who submit and change their minds. Everything that
// happens comes from the seed. Throws Violation at the first broken promise.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/plan.h"
#include "server/devices/device_monitor.h"
#include "server/dispatcher.h"
#include "server/ingest.h"
#include "server/run_verbs.h"
#include "server/wait_reasons.h"
#include "tests/server/simulation/fate.h"
#include "tests/server/simulation/machine.h"
#include "tests/server/simulation/machine_doors.h"

namespace moelab::sim {

inline constexpr std::chrono::seconds kGrace{5};  // from SIGTERM to SIGKILL

// No std::exception, so that nobody in the engine catches it.
struct Violation {
  std::string what;
};

// What histories together have seen: that they are as eventful as they should be.
struct Coverage {
  std::map<std::string, std::int64_t> deaths_in;  // daemon deaths by the states runs were in
  std::map<std::string, std::int64_t> ends;       // runs by their last state
  std::map<std::string, std::int64_t> events;     // what happened, by name
};

// As many rows as a database has when it is new: histories copy it.
const std::filesystem::path& template_database();

class World {
 public:
  World(unsigned seed, Coverage& coverage, bool verbose);
  ~World();

  // Trouble for so many rounds, then none until everything has ended.
  void live(int rounds);
  void settle();

 private:
  struct Daemon;
  // One run, as the database has it.
  struct Snapshot {
    std::int64_t id = 0;
    std::string key;
    core::RunState state = core::RunState::queued;
    std::string device;
    int attempt = 0, restarts = 0;
    bool live() const { return core::is_live(state); }
  };

  // By id and key of every run: the curve of one that has completed.
  using Curves = std::map<std::pair<std::int64_t, std::string>, std::vector<double>>;
  Curves curves();

  void start_daemon();
  void restart_daemon();
  void shut_down();
  // Something the daemon does: it may die of it, and a commit may be refused.
  void guarded(const std::function<void()>& work);
  void tick();
  void disturb();
  void round(bool trouble);

  core::Plan make_plan();
  void submit();
  void act_on_a_run();
  void force_a_run();
  void delete_a_run();
  void change_mode();
  void set_clock();
  void enable_devices();
  void rebuild();
  void happened(const std::string& what);

  // What must hold: before the daemon does something to a process, after every round, at the end.
  std::string check_launch(const server::LaunchRequest& request);
  void check_terminate(const Worker& worker);
  void check_kill(const Worker& worker);
  void check_admission(const db::RunRow& run, const std::vector<Snapshot>& runs);
  void check_packing(const db::RunRow& run, const std::vector<Snapshot>& runs);
  void check_pruned(std::int64_t run);
  void check_limits(std::int64_t launched);
  void note_results(const std::vector<Snapshot>& runs);
  void check_round();
  void check_astray(const std::vector<Worker*>& astray);
  void check_given_back(const std::vector<Snapshot>& runs);
  void check_end();
  void check_history(const db::RunRow& run);
  const core::ResourceConfig& resources_of(const std::string& key) const;
  [[noreturn]] void violated(const std::string& promise) const;
  std::vector<Snapshot> snapshots();
  bool all_ended();

  bool one_in(unsigned n) { return random_() % n == 0; }
  template <class Work>
  auto read(Work&& work) {
    return database_->read(std::forward<Work>(work));
  }

  std::mt19937 random_;
  Coverage& coverage_;
  const bool verbose_;
  Fate fate_;
  test::TempDir dir_;
  server::HomePaths paths_;
  test::ManualClock clock_;
  server::EventBus bus_;
  server::WaitReasons reasons_;
  std::optional<db::Database> database_;
  Machine machine_;
  std::unique_ptr<Daemon> daemon_;
  double death_rate_ = 0, error_rate_ = 0;
  bool mended_ = false;  // settling: nothing goes wrong any more

  std::vector<core::PlannedRun> pool_;     // what may be submitted
  std::map<std::string, int> limits_;      // by experiment
  bool prunes_ = false;                    // e1 has a rule
  std::set<std::string> submitted_;        // keys the daemon has taken
  std::set<std::pair<std::int64_t, int>> launched_;         // runs and attempts
  std::map<std::int64_t, int> last_attempt_;
  std::set<std::int64_t> unwanted_;        // cancelled or paused by a person, not taken back
  std::set<std::int64_t> done_;            // completed, and nobody asked for more
  std::set<std::string> has_result_;       // keys that have completed once
  std::set<std::int64_t> forced_;
  std::set<std::int64_t> hurried_;         // taken up by a person since their last crash: no back-off
  std::set<std::int64_t> crowded_;         // started on a GPU where others were or memory was kept
  std::map<std::string, int> submitted_at_;  // keys: the round of the last submission
  std::vector<Snapshot> before_;           // as the last round left them
  bool clock_unseen_ = false;              // it was set and no tick has seen that
  bool clock_lost_ = false;                // that tick never came: deadlines are not what they were
  int steps_ = 0;
};

}  // namespace moelab::sim
