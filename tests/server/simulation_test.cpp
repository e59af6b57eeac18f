// Scheduler, dispatcher, ingest and stores through hundreds of random histories: workers crash, are killed, hang, finish;
// the daemon dies at any point and comes back; GPUs vanish; people cancel and retry. Worlds are made of the real engine with a
// simulated launcher, inventory and clock. A failure prints its seed.
#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "core/error.h"
#include "server/dispatcher.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using namespace std::chrono_literals;
using core::RunState;

namespace {

constexpr std::int64_t kMaxSteps = 12;
constexpr std::int64_t kSaveEvery = 4;

// Thrown where a real daemon would have died.
struct DaemonDied {};

// A machine: processes and devices that outlive the daemon.
struct Machine {
  struct Worker {
    std::int64_t run = 0;
    int attempt = 0;
    std::string device;
    std::int64_t step = 0;
    std::unique_ptr<test::JournalWriter> journal;
    bool released = false, started = false, alive = true, asked_to_leave = false, deaf = false;
    bool child = true;  // of the daemon that lives now
    server::Exit exit;
  };
  std::map<std::int64_t, Worker> workers;            // by pid
  std::map<std::int64_t, std::int64_t> checkpoints;  // run -> step
  std::set<std::string> lost_gpus;
  std::int64_t next_pid = 1000;
};

class SimulatedInventory final : public server::DeviceInventory {
 public:
  explicit SimulatedInventory(Machine& machine) : machine_(machine) {}
  std::string name() const override { return "nvml"; }
  std::string note() const override { return ""; }
  std::vector<server::Device> list() override {
    std::vector<server::Device> devices;
    for (const char* id : {"gpu0", "gpu1", "cpu0"}) {
      server::Device d;
      d.id = id;
      d.kind = d.id == "cpu0" ? server::DeviceKind::cpu : server::DeviceKind::gpu;
      d.memory_total_mb = d.kind == server::DeviceKind::gpu ? std::optional(24'000.0) : std::nullopt;
      if (!machine_.lost_gpus.contains(d.id)) devices.push_back(d);
    }
    return devices;
  }

 private:
  Machine& machine_;
};

class SimulatedLauncher final : public server::Launcher {
 public:
  SimulatedLauncher(Machine& machine, std::mt19937& random, const server::HomePaths& paths, db::Database& database)
      : machine_(machine), random_(random), paths_(paths), database_(database) {}

  double death_rate = 0;  // of the daemon, at each step of a launch

  db::ProcessIdentity spawn(const server::LaunchRequest& request) override {
    maybe_die();
    if (random_() % 40 == 0) throw core::Error(core::ErrorKind::storage, "no more processes");
    Machine::Worker worker;
    worker.run = request.run_id;
    worker.attempt = request.attempt;
    worker.device = database_.read([&](db::Connection& c) { return db::RunStore(c).get(request.run_id).device; });
    worker.journal = std::make_unique<test::JournalWriter>(paths_.journal(request.run_id), request.attempt);
    worker.deaf = random_() % 15 == 0;
    const std::int64_t pid = machine_.next_pid++;
    machine_.workers[pid] = std::move(worker);
    maybe_die();
    return {pid, pid * 10, "boot"};
  }
  void release(const db::ProcessIdentity& process) override {
    maybe_die();
    machine_.workers.at(process.pid).released = true;
    maybe_die();
  }
  std::optional<server::Exit> poll(const db::ProcessIdentity& process) override {
    const Machine::Worker& worker = machine_.workers.at(process.pid);
    if (worker.alive) return std::nullopt;
    return worker.child ? worker.exit : server::Exit{};
  }
  void forget(const db::ProcessIdentity&) override {}
  void terminate(const db::ProcessIdentity& process) override { machine_.workers.at(process.pid).asked_to_leave = true; }
  void kill(const db::ProcessIdentity& process) override {
    Machine::Worker& worker = machine_.workers.at(process.pid);
    if (!worker.alive) return;
    worker.alive = false;
    worker.exit.signal = 9;
  }

 private:
  void maybe_die() {
    if (std::uniform_real_distribution<>(0, 1)(random_) < death_rate) throw DaemonDied{};
  }
  Machine& machine_;
  std::mt19937& random_;
  const server::HomePaths& paths_;
  db::Database& database_;
};

class World {
 public:
  explicit World(unsigned seed) : random_(seed) {
    const int runs = 3 + static_cast<int>(random_() % 5);
    for (int i = 0; i < runs; ++i) {
      db::Resources resources;
      if (const auto kind = random_() % 3; kind < 2) resources.gpus = static_cast<std::int64_t>(kind);
      resources.max_restarts = static_cast<std::int64_t>(random_() % 3);
      resources.timeout_s = random_() % 5 == 0 ? 20 : 0;
      // Some runs start from the weights of an earlier one.
      const std::string waits_for = i > 0 && random_() % 3 == 0 ? "key-r" + std::to_string(random_() % static_cast<unsigned>(i)) : "";
      ids_.push_back(home_.add_run("r" + std::to_string(i), resources, static_cast<int>(random_() % 3), waits_for));
    }
    home_.database.write([&](db::Connection& c) {
      db::ExperimentStore experiments(c);
      for (int e = 0; e < 2; ++e) {
        const auto id =
            experiments.put({0, "m", "e" + std::to_string(e), "", "", "", {}, "", static_cast<int>(random_() % 3), home_.clock.now()});
        for (const std::int64_t run : ids_) {
          if (random_() % 2) experiments.put_member({id, "", "r" + std::to_string(run), run, "", "", "", {}, nlohmann::json::array()});
        }
      }
    });
    start_daemon();
  }

  void live(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      tick(0.02);
      disturb();
      let_workers_work(true);
      home_.clock.advance(std::chrono::milliseconds(100 + random_() % 900));
      check_invariants();
    }
  }

  // Without disturbances everything must come to an end.
  void settle() {
    machine_.lost_gpus.clear();
    for (auto& [pid, worker] : machine_.workers) worker.deaf = false;
    for (int round = 0; round < 2000 && !all_ended(); ++round) {
      tick(0);
      let_workers_work(false);
      home_.clock.advance(1s);
      check_invariants();
    }
    CHECK(all_ended());
    for (const std::int64_t id : ids_) {
      const db::RunRow run = home_.run(id);
      if (run.state == RunState::skipped) ++skipped;
      if (run.state == RunState::completed) CHECK(home_.points(id, "train/loss").size() == kMaxSteps);
      check_series(id);
    }
  }

  void shut_down() {
    guarded([&] { dispatcher_->begin_shutdown(); });
    for (int round = 0; round < 500 && dispatcher_->has_live_runs(); ++round) {
      dispatcher_->tick();
      let_workers_work(false);
      home_.clock.advance(1s);
      check_invariants();
    }
    CHECK_FALSE(dispatcher_->has_live_runs());
    for (const auto& [pid, worker] : machine_.workers) CHECK_FALSE(worker.alive);
    start_daemon();
  }

  std::int64_t daemon_deaths = 0, skipped = 0;

 private:
  void start_daemon() {
    for (auto& [pid, worker] : machine_.workers) {
      worker.child = false;
      if (worker.alive && !worker.released) worker.alive = false;  // the gate closed with the daemon
    }
    inventory_ = std::make_unique<SimulatedInventory>(machine_);
    launcher_ = std::make_unique<SimulatedLauncher>(machine_, random_, home_.paths, home_.database);
    server::GpuRules rules;
    rules.hold_down = 500ms;
    monitor_ = std::make_unique<server::DeviceMonitor>(*inventory_, home_.clock, rules);
    ingest_ = std::make_unique<server::Ingest>(home_.database, home_.paths, home_.clock, home_.bus);
    dispatcher_ = std::make_unique<server::Dispatcher>(home_.database, home_.paths, home_.clock, *launcher_, *monitor_, *ingest_, home_.bus, reasons_,
                                                       server::DispatcherOptions{5s, 1s});
  }

  template <class Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (const DaemonDied&) {
      ++daemon_deaths;
      start_daemon();
    }
  }

  void tick(double death_rate) {
    launcher_->death_rate = death_rate;
    guarded([&] {
      if (random_() % 2) ingest_->drain_live();
      dispatcher_->tick();
    });
  }

  void disturb() {
    if (random_() % 25 == 0) {
      ++daemon_deaths;
      start_daemon();
    }
    if (random_() % 20 == 0) {
      const std::string gpu = random_() % 2 ? "gpu0" : "gpu1";
      if (!machine_.lost_gpus.erase(gpu)) {
        machine_.lost_gpus.insert(gpu);
        for (auto& [pid, worker] : machine_.workers) {
          if (worker.device == gpu) die(worker, 6);
        }
      }
    }
    const std::int64_t id = ids_[random_() % ids_.size()];
    if (random_() % 30 == 0) {
      home_.database.write([&](db::Connection& c) {
        db::RunStore runs(c);
        const RunState state = runs.get(id).state;
        if (state == RunState::queued) runs.end_waiting(id, RunState::cancelled, "cancelled", home_.clock.now());
        if (core::is_live(state)) runs.request_stop(id, db::StopIntent::cancel, "", home_.clock.now());
      });
    }
    if (random_() % 15 == 0) {
      home_.database.write([&](db::Connection& c) {
        db::RunStore runs(c);
        const RunState state = runs.get(id).state;
        if (core::is_terminal(state) && state != RunState::completed) runs.requeue(id, false, "retried", home_.clock.now());
      });
    }
  }

  static void die(Machine::Worker& worker, int signal) {
    if (!worker.alive) return;
    worker.alive = false;
    worker.exit.signal = signal;
  }

  void let_workers_work(bool trouble) {
    for (auto& [pid, worker] : machine_.workers) {
      if (!worker.alive || !worker.released || random_() % 3 == 0) continue;
      if (trouble && random_() % 40 == 0) {
        if (random_() % 2)
          test::write_text(home_.paths.journal(worker.run), "{\"v\":1,\"seq\":9", std::ios::app);  // in the middle of a line
        die(worker, random_() % 2 ? 9 : 11);
        continue;
      }
      std::int64_t& saved = machine_.checkpoints[worker.run];
      if (!worker.started) {
        worker.started = true;
        worker.step = saved;
        worker.journal->started(saved, kMaxSteps);
        continue;
      }
      if (worker.asked_to_leave && !worker.deaf) {
        saved = worker.step;
        leave(worker, "preempted", core::kExitPreempted);
      } else if (trouble && random_() % 80 == 0) {
        leave(worker, "failed", core::kExitRunFailed);
      } else if (worker.step == kMaxSteps) {
        leave(worker, "completed", core::kExitDone);
      } else {
        ++worker.step;
        worker.journal->loss(worker.step, static_cast<double>(100 * worker.attempt + worker.step));
        if (worker.step % kSaveEvery == 0) saved = worker.step;
      }
    }
  }

  static void leave(Machine::Worker& worker, const std::string& status, int code) {
    worker.journal->finished(worker.step, status, status == "failed" ? "data" : "", "");
    worker.alive = false;
    worker.exit.code = code;
  }

  void check_invariants() {
    std::map<std::string, int> on_device;
    std::map<std::int64_t, int> of_run;
    for (const auto& [pid, worker] : machine_.workers) {
      if (!worker.alive) continue;
      ++on_device[worker.device];
      ++of_run[worker.run];
    }
    for (const auto& [device, count] : on_device) CHECK_MESSAGE(count == 1, "device shared: " << device);
    for (const auto& [run, count] : of_run) CHECK_MESSAGE(count == 1, "run trained twice at once: " << run);
    for (const std::int64_t id : ids_) {
      if (home_.run(id).state == RunState::completed) completed_once_.insert(id);
    }
    for (const auto& [pid, worker] : machine_.workers) {
      const std::string key = home_.run(worker.run).waits_for;
      if (key.empty() || worker.started) continue;
      const auto origin = home_.database.read([&](db::Connection& c) { return db::RunStore(c).find_by_key(key); });
      CHECK_MESSAGE(completed_once_.contains(*origin), "run " << worker.run << " was started before the run it starts from had completed");
    }
    std::size_t listed = 0;
    home_.database.read([&](db::Connection& c) {
      for (const auto& [state, count] : db::RunStore(c).count_by_state()) listed += static_cast<std::size_t>(count);
    });
    CHECK(listed == ids_.size());
    for (const auto& [pid, worker] : machine_.workers) {
      if (worker.alive && worker.released)
        CHECK_MESSAGE(core::is_live(home_.run(worker.run).state), "a worker was forgotten: run " << worker.run);
    }
  }

  // Only legal transitions, in an unbroken chain; and no step of the final curve missing, doubled or from a rewound tail.
  void check_series(std::int64_t id) {
    std::string last;
    for (const db::RunEventRow& e : home_.database.read([&](db::Connection& c) { return db::RunStore(c).events(id); })) {
      CHECK(e.from == last);
      if (!e.from.empty()) CHECK(core::is_legal(core::run_state_from(e.from), core::run_state_from(e.to)));
      last = e.to;
    }
    CHECK(last == core::to_string(home_.run(id).state));
    std::int64_t expected = 1;
    int attempt = 1;
    for (const db::MetricPoint& p : home_.points(id, "train/loss")) {
      CHECK(p.step == expected++);
      const int of_point = static_cast<int>(p.value) / 100;
      CHECK(of_point >= attempt);
      attempt = of_point;
    }
  }

  bool all_ended() {
    return std::all_of(ids_.begin(), ids_.end(), [&](std::int64_t id) { return core::is_terminal(home_.run(id).state); });
  }

  std::mt19937 random_;
  test::EngineHome home_;
  server::WaitReasons reasons_;
  Machine machine_;
  std::vector<std::int64_t> ids_;
  std::set<std::int64_t> completed_once_;
  std::unique_ptr<SimulatedInventory> inventory_;
  std::unique_ptr<SimulatedLauncher> launcher_;
  std::unique_ptr<server::DeviceMonitor> monitor_;
  std::unique_ptr<server::Ingest> ingest_;
  std::unique_ptr<server::Dispatcher> dispatcher_;
};

}  // namespace

TEST_CASE("hundreds of random histories lose no run, share no device and make only legal transitions") {
  const spdlog::level::level_enum level = spdlog::get_level();
  spdlog::set_level(spdlog::level::off);  // crashes are the point here
  std::int64_t deaths = 0, skipped = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    World world(seed);
    world.live(60);
    if (seed % 4 == 0) world.shut_down();
    world.settle();
    deaths += world.daemon_deaths;
    skipped += world.skipped;
  }
  spdlog::set_level(level);
  CHECK(deaths > 200);  // the histories are as eventful as they should be
  CHECK(skipped > 10);
}
