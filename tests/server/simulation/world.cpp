#include "tests/server/simulation/world.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "server/queue_mode.h"
#include "server/rebuild.h"
#include "server/retention/retention_service.h"
#include "server/retention/trash.h"
#include "server/submission.h"

namespace moelab::sim {

using namespace std::chrono_literals;
using core::RunState;

namespace {

// Histories sync a lot; where there is a file system in memory they are kept there.
std::filesystem::path fast_directory() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

constexpr std::chrono::milliseconds kHoldDown{500};

}  // namespace

const std::filesystem::path& template_database() {
  static const test::TempDir dir(fast_directory());
  static const std::filesystem::path file = [] {
    const std::filesystem::path made = dir.path() / "moelab.db";
    const db::Database database(made);
    return made;
  }();
  return file;
}

struct World::Daemon {
  explicit Daemon(World& w)
      : inventory(w.machine_),
        launcher(w.machine_, w.fate_, w.random_,
                 {[&w](const server::LaunchRequest& request) { return w.check_launch(request); },
                  [&w](const Worker& worker) { w.check_terminate(worker); }, [&w](const Worker& worker) { w.check_kill(worker); }}),
        health(*w.database_, w.clock_),
        monitor(inventory, w.clock_, rules(), &health),
        retention(*w.database_, w.paths_, w.clock_, w.bus_),
        ingest(*w.database_, w.paths_, w.clock_, w.bus_),
        dispatcher(*w.database_, w.paths_, w.clock_, launcher, monitor, ingest, w.bus_, w.reasons_, server::DispatcherOptions{kGrace, 1s}) {
    launcher.may_fail = !w.mended_;
    retention.put_back_half_deleted();
    retention.empty_trash();
    monitor.refresh({});
  }
  static server::GpuRules rules() {
    server::GpuRules rules;
    rules.hold_down = kHoldDown;
    return rules;
  }

  SimulatedInventory inventory;
  SimulatedLauncher launcher;
  server::DeviceHealth health;
  server::DeviceMonitor monitor;
  server::RetentionService retention;
  server::Ingest ingest;
  server::Dispatcher dispatcher;
};

World::World(unsigned seed, Coverage& coverage, bool verbose)
    : random_(seed), coverage_(coverage), verbose_(verbose), fate_(random_), dir_(fast_directory()), paths_(dir_.path()),
      machine_(random_, paths_, clock_) {
  std::filesystem::copy_file(template_database(), paths_.database());
  const int runs = 3 + static_cast<int>(random_() % 4);
  for (int i = 0; i < runs; ++i) {
    core::PlannedRun planned;
    core::RunSpec& spec = planned.spec;
    spec.matrix = "m";
    spec.name = "r" + std::to_string(i);
    spec.key = "key-" + spec.name;
    spec.priority = static_cast<int>(random_() % 3);
    spec.config.seed = i;
    spec.config.train.batch_size = 8;
    core::ResourceConfig& resources = spec.config.resources;
    if (const auto kind = random_() % 3; kind < 2) resources.gpus = static_cast<std::int64_t>(kind);
    resources.max_restarts = static_cast<std::int64_t>(random_() % 3);
    resources.timeout.count = one_in(5) ? 20 : 0;
    resources.hang_timeout.count = one_in(2) ? 12 : 0;
    resources.halve_on_oom = one_in(2);
    resources.share_gpu = one_in(2);
    if (one_in(2)) resources.memory_gb = 3 + static_cast<double>(random_() % 12);  // GPUs have 24: two or three fit
    spec.baseline = "r0";
    // Some runs wait for an earlier one, some of these start from its weights.
    if (i > 0 && one_in(3)) {
      const std::string& other = pool_[random_() % pool_.size()].spec.key;
      if (one_in(2)) {
        spec.config.train.init_from = "run:" + other;
      } else {
        spec.depends_on = {other};
      }
    }
    pool_.push_back(std::move(planned));
  }
  for (const char* experiment : {"e0", "e1"}) limits_[experiment] = static_cast<int>(random_() % 3);
  prunes_ = one_in(2);
  death_rate_ = one_in(3) ? 0 : 0.01;
  error_rate_ = one_in(3) ? 0.02 : 0;
  start_daemon();
  submit();
}

World::~World() = default;

void World::enable_devices() {
  for (const server::DeviceView& device : daemon_->monitor.view().devices) daemon_->monitor.enable(device.id);
}

// Of the files alone come the same runs, and every result with its whole curve.
void World::rebuild() {
  happened("a rebuild");
  const Curves before = curves();
  daemon_.reset();
  database_.reset();
  const server::Rebuilt rebuilt = server::rebuild_database(paths_, clock_);
  database_.emplace(paths_.database());
  const Curves after = curves();
  if (rebuilt.skipped > 0 || before.size() != after.size()) violated("a rebuild loses runs");
  for (const auto& [run, curve] : before) {
    if (!curve.empty() && after.at(run) != curve) violated("a rebuild loses the result of run " + std::to_string(run.first));
  }
}

// A person lets go of a run and its files; half of it, when the daemon dies on the way.
void World::delete_a_run() {
  const std::vector<Snapshot> runs = snapshots();
  if (runs.empty()) return;
  const Snapshot run = runs[random_() % runs.size()];
  if (one_in(4)) {
    if (run.live()) return;
    server::Trash(paths_).take(paths_.run(run.id));
    happened("the daemon dies in the middle of a deletion");
    return restart_daemon();
  }
  guarded([&] { daemon_->retention.remove({run.id}); });
  const std::vector<Snapshot> left = snapshots();
  if (std::any_of(left.begin(), left.end(), [&](const Snapshot& other) { return other.id == run.id; })) return;
  happened("a run is deleted");
  submitted_.erase(run.key);
  has_result_.erase(run.key);
  if (std::filesystem::exists(paths_.run(run.id)) && !fate_.dead()) violated("the files of a deleted run are still there");
}

void World::happened(const std::string& what) {
  ++coverage_.events[what];
  if (verbose_) std::printf("  %3d  %s\n", steps_, what.c_str());
}

void World::start_daemon() {
  if (!database_) {
    database_.emplace(paths_.database());
    fate_.watch(*database_);
  }
  daemon_ = std::make_unique<Daemon>(*this);
}

void World::restart_daemon() {
  for (const RunState state : core::all_run_states()) {
    const std::string name = core::to_string(state);
    const std::int64_t count = read([&](db::Connection& c) { return db::RunStore(c).count_by_state().at(name); });
    if (count > 0) ++coverage_.deaths_in[name];
  }
  fate_.revive();
  machine_.daemon_died();
  // A new daemon looks at its clock for the first time: how far it was set while nobody looked, nobody knows.
  if (clock_unseen_) {
    for (const auto& [run, when] : machine_.crashed_at) hurried_.insert(run);
    clock_unseen_ = false;
    clock_lost_ = true;
  }
  daemon_.reset();
  if (one_in(4)) database_.reset();
  start_daemon();
}

void World::guarded(const std::function<void()>& work) {
  try {
    fate_.death_rate = mended_ ? 0 : death_rate_;
    fate_.error_rate = mended_ ? 0 : error_rate_;
    work();
  } catch (const DaemonDied&) {
  } catch (const core::Error& e) {  // as the daemon's loops do; a commit was refused
    if (mended_) violated(std::string("an error while nothing is wrong: ") + e.what());
  }
  fate_.death_rate = fate_.error_rate = 0;
  if (!fate_.dead()) return;
  happened("the daemon dies");
  restart_daemon();
}

void World::tick() {
  std::vector<Worker*> astray;
  for (const auto& worker : machine_.workers()) {
    if (worker->alive && worker->seen_astray) astray.push_back(worker.get());
  }
  bool whole = false;
  guarded([&] {
    if (one_in(2)) daemon_->ingest.drain_live();
    daemon_->dispatcher.tick();
    clock_unseen_ = false;
    whole = true;
  });
  if (whole) check_astray(astray);
}

void World::shut_down() {
  happened("shutdown");
  guarded([&] { daemon_->dispatcher.begin_shutdown(); });
  for (int round = 0; round < 60 && daemon_->dispatcher.has_live_runs(); ++round) {
    tick();
    machine_.work(false);
    clock_.advance(1s);
    check_round();
  }
  restart_daemon();
}

core::Plan World::make_plan() {
  core::Plan plan;
  plan.matrix = "m";
  std::set<std::string> taken;
  for (const char* name : {"e0", "e1"}) {
    core::PlannedExperiment experiment;
    experiment.name = name;
    experiment.max_concurrent = limits_[name];
    if (prunes_ && experiment.name == "e1") {
      experiment.prune = core::PruneRule{core::PruneRule::Kind::asha, "train/loss", core::Direction::down, 2, 2, std::nullopt, 1};
    }
    std::vector<core::PlannedRun> runs;
    for (std::size_t i = 0; i < pool_.size(); ++i) {
      if (!one_in(2)) continue;
      core::PlannedRun run = pool_[i];
      run.spec.experiment = name;
      runs.push_back(std::move(run));
      taken.insert(pool_[i].spec.key);
    }
    if (runs.empty()) continue;
    plan.experiments.push_back(experiment);
    for (core::PlannedRun& run : runs) plan.runs.push_back(std::move(run));
  }
  // A run comes with what it waits for.
  for (std::size_t i = pool_.size(); i-- > 0;) {
    if (!taken.contains(pool_[i].spec.key)) continue;
    std::vector<std::string> needs = pool_[i].spec.depends_on;
    if (const std::string& from = pool_[i].spec.config.train.init_from; !from.empty()) needs.push_back(from.substr(4));
    for (const core::PlannedRun& other : pool_) {
      if (needs.empty() || other.spec.key != needs.front() || !taken.insert(other.spec.key).second) continue;
      core::PlannedRun run = other;
      run.spec.experiment = plan.experiments.front().name;
      plan.runs.push_back(std::move(run));
    }
  }
  return plan;
}

void World::submit() {
  const core::Plan plan = make_plan();
  if (plan.runs.empty()) return;
  const bool force = !submitted_.empty() && one_in(4);
  // Impatient people press the button twice.
  for (int times = one_in(3) ? 2 : 1; times > 0; --times) {
    guarded([&] {
      const server::Submitted taken = server::record_plan(*database_, paths_, plan, "study.yaml", force, clock_.now());
      happened(force ? "submitted with force" : "submitted");
      for (const core::PlannedRun& run : plan.runs) {
        submitted_.insert(run.spec.key);
        submitted_at_[run.spec.key] = steps_;
      }
      if (!force) return;
      for (const std::int64_t run : taken.runs) {
        done_.erase(run);
        unwanted_.erase(run);
        hurried_.insert(run);
      }
    });
  }
}

void World::disturb() {
  if (one_in(25)) {
    happened("the daemon is killed");
    restart_daemon();
  }
  if (one_in(60)) {
    happened("reboot");
    machine_.reboot();
    restart_daemon();
  }
  if (one_in(80)) shut_down();
  const std::string gpu = one_in(2) ? "gpu0" : "gpu1";
  if (one_in(20)) {
    happened("a GPU falls off the bus, or is back");
    machine_.toggle_gpu_loss(gpu);
  }
  if (one_in(15)) {
    happened("somebody else comes to a GPU, or goes");
    machine_.toggle_others(gpu);
  }
  if (one_in(12)) submit();
  if (one_in(4)) act_on_a_run();
  if (one_in(25)) force_a_run();
  if (one_in(25)) delete_a_run();
  if (one_in(30)) change_mode();
  if (one_in(40)) set_clock();
}

void World::change_mode() {
  using Kind = server::QueueMode::Kind;
  const Kind kind = one_in(2) ? Kind::open : (one_in(2) ? Kind::held : Kind::drained);
  guarded([&] {
    database_->write([&](db::Connection& c) { server::write_queue_mode(c, {kind, "", clock_.now()}); });
    happened("the queue is " + server::to_string(kind));
    bus_.queue_changed();
  });
}

void World::set_clock() {
  const auto by = std::chrono::seconds(static_cast<int>(random_() % 50) - 25);
  happened("the clock is set");
  clock_.jump(by);
  clock_unseen_ = true;
}

void World::round(bool trouble) {
  ++steps_;
  tick();
  if (trouble) disturb();
  machine_.work(trouble);
  clock_.advance(std::chrono::milliseconds(100 + random_() % 900));
  check_round();
}

void World::live(int rounds) {
  for (int i = 0; i < rounds; ++i) round(true);
}

void World::settle() {
  mended_ = true;
  daemon_->launcher.may_fail = false;
  machine_.heal();
  database_->write([&](db::Connection& c) { server::write_queue_mode(c, {server::QueueMode::Kind::open, "", clock_.now()}); });
  bus_.queue_changed();
  for (int i = 0; i < 600 && !all_ended(); ++i) {
    ++steps_;
    if (i % 50 == 0) {  // what a person has paused goes on
      enable_devices();
      for (const db::RunRow& run : read([](db::Connection& c) { return db::RunStore(c).in_states({RunState::paused}); })) {
        database_->write([&](db::Connection& c) { server::apply_verb(c, run.id, server::RunVerb::resume, clock_.now()); });
        hurried_.insert(run.id);
        unwanted_.erase(run.id);
        bus_.run_changed(run.id);
      }
    }
    tick();
    machine_.work(false);
    clock_.advance(1s);
    check_round();
  }
  check_end();
  if (one_in(10)) rebuild();
}

}  // namespace moelab::sim
