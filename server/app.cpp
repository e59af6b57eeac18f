#include "server/app.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "core/clock.h"
#include "core/error.h"
#include "db/database.h"
#include "db/queue_store.h"
#include "server/devices/device_health.h"
#include "server/devices/device_inventory.h"
#include "server/devices/device_monitor.h"
#include "server/dispatcher.h"
#include "server/event_bus.h"
#include "server/file_io.h"
#include "server/home_lock.h"
#include "server/ingest.h"
#include "server/launcher_set.h"
#include "server/metrics_registry.h"
#include "server/notice/notice_follower.h"
#include "server/notice/webhook_sender.h"
#include "server/notice/webhooks.h"
#include "server/paths.h"
#include "server/process_launcher.h"
#include "server/rebuild.h"
#include "server/run_service.h"
#include "server/slurm/slurm_check.h"
#include "server/slurm/slurm_launcher.h"
#include "server/slurm/slurm_slots.h"

namespace moelab::server {
namespace {

// Between SIGKILL after the grace time and giving up on a worker that the kernel cannot even kill.
constexpr std::chrono::seconds kKillPatience{10};
// For what the last runs of `moelab run` have to tell. What is not delivered by then is sent at the next start.
constexpr std::chrono::milliseconds kDeliveryPatience{5000};

constexpr std::chrono::hours kRetentionPeriod{1};

// Wakes a thread every `period` until it is told to end; the thread checks between two rounds.
class Pacer {
 public:
  // False when it is time to end.
  bool wait(std::chrono::milliseconds period) {
    std::unique_lock lock(mutex_);
    return !ended_.wait_for(lock, period, [this] { return end_; });
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return end_;
  }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      end_ = true;
    }
    ended_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
};

// A home that lost its database but not its runs gets it back: new runs must not be given the ids of old directories.
void rebuild_if_lost(const HomePaths& paths, const core::Clock& clock) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(paths.database(), missing);
  if ((!missing && size > 0) || !has_runs_on_disk(paths)) return;
  const Rebuilt rebuilt = rebuild_database(paths, clock);
  spdlog::warn("the database was missing: rebuilt {} runs from their journals", rebuilt.runs);
}

}  // namespace

struct App::Parts {
  explicit Parts(const AppOptions& given)
      : options(given),
        paths(std::filesystem::absolute(given.home)),
        lock(paths.home()),
        worker(given.worker.empty() ? default_worker() : std::filesystem::absolute(given.worker)),
        slurm_check(SlurmClient(), given.slurm.by_default, given.slurm.jobs) {
    auto processes = std::make_unique<ProcessLauncher>(worker);
    rebuild_if_lost(paths, clock);
    database.emplace(paths.database());
    const std::string no_slurm = given.slurm.jobs == 0 ? "it was started with --slurm-jobs 0" : SlurmClient::why_not_installed();
    if (given.slurm.by_default && !no_slurm.empty()) throw core::Error(core::ErrorKind::config, "--launcher slurm: " + no_slurm);
    std::unique_ptr<SlurmLauncher> slurm;
    if (no_slurm.empty()) slurm = make_slurm_launcher();
    inventory = make_inventory(given.cpu_slots, given.pin_cpus);
    if (slurm) {
      // Slurm's commands may be there without a cluster: that is told where a run waits for one.
      inventory = std::make_unique<SlurmSlots>(std::move(inventory), given.slurm.jobs, [this, launcher = slurm.get()] {
        const std::string trouble = launcher->trouble();
        const auto is_wanted = [&](db::Connection& c) { return db::QueueStore(c).any_for_slurm(options.slurm.by_default); };
        return SlurmSlots::Cluster{launcher->in_contact() || (!trouble.empty() && database->read(is_wanted)), trouble};
      });
    }
    launcher.emplace(std::move(processes), std::move(slurm), no_slurm);
    health.emplace(*database, clock);
    devices.emplace(*inventory, clock, GpuRules{}, &*health);
    ingest.emplace(*database, paths, clock, bus, &metrics);
    DispatcherOptions rules{options.grace, std::chrono::seconds(1), options.max_concurrent};
    rules.slurm_by_default = options.slurm.by_default;
    rules.leave_slurm_jobs = options.slurm.leave_at_stop;
    rules.min_free_bytes = options.min_free_bytes;
    dispatcher.emplace(*database, paths, clock, *launcher, *devices, *ingest, bus, reasons, rules);
    service.emplace(*database, paths.home(), clock, bus, *devices, reasons, MOELAB_CODE_VERSION, &slurm_check);
    RequestRules request_rules;
    request_rules.allow_private = given.webhook_private;
    sender.emplace(*database, clock, metrics, request_rules);
    follower.emplace(*database, clock, metrics, *sender);
    webhooks.emplace(*database, clock, *sender);
    service->retention().put_back_half_deleted();
    devices->refresh({});
  }

  std::unique_ptr<SlurmLauncher> make_slurm_launcher() {
    std::vector<db::ProcessIdentity> live;
    for (const db::RunRow& run : database->read([](db::Connection& c) { return db::RunStore(c).in_states(core::live_run_states()); })) {
      if (run.process) live.push_back(*run.process);
    }
    SlurmOptions wanted;
    wanted.rules = {worker, options.grace, options.slurm.most_time, options.slurm.options};
    wanted.runs = paths.runs();
    wanted.interval = options.slurm.interval;
    return std::make_unique<SlurmLauncher>(SlurmClient(), std::move(wanted), live);
  }

  AppOptions options;
  core::SystemClock clock;
  HomePaths paths;
  HomeLock lock;
  std::filesystem::path worker;
  SlurmCheck slurm_check;
  std::optional<LauncherSet> launcher;
  std::unique_ptr<DeviceInventory> inventory;
  EventBus bus;
  WaitReasons reasons;
  MetricsRegistry metrics{MOELAB_CODE_VERSION};
  std::optional<db::Database> database;
  std::optional<DeviceHealth> health;
  std::optional<DeviceMonitor> devices;
  std::optional<Ingest> ingest;
  std::optional<Dispatcher> dispatcher;
  std::optional<RunService> service;
  std::optional<WebhookSender> sender;
  std::optional<NoticeFollower> follower;
  std::optional<Webhooks> webhooks;

  Pacer pacer;
  std::thread dispatch_thread, ingest_thread, notice_thread, retention_thread;
  std::mutex said_mutex;
  std::map<std::string, std::string> said;  // thread -> the error it has logged last: one that lasts is logged once
  std::once_flag stopped;

  // The loops of the daemon: what a round throws is logged, and the next round tries again.
  void loop(const char* name, std::chrono::milliseconds period, const std::function<void()>& round) {
    do {
      run_round(name, round);
    } while (pacer.wait(period));
  }
  // The dispatcher's: a worker that ends frees its device at once instead of at the next tick.
  void dispatch() {
    do {
      const bool done = run_round("dispatcher", [this] { timed_tick(); });
      if (pacer.ended()) break;
      // A round that failed may have left a child's end untold, which would wake it at once.
      if (done) {
        launcher->wait_for_exit(options.tick);
      } else {
        pacer.wait(options.tick);
      }
    } while (!pacer.ended());
  }
  void timed_tick() {
    const auto start = std::chrono::steady_clock::now();
    dispatcher->tick();
    metrics.add_tick(std::chrono::steady_clock::now() - start);
  }
  bool run_round(const char* name, const std::function<void()>& round) {
    std::string error;
    try {
      round();
    } catch (const std::exception& e) {
      error = e.what();
    }
    std::string before;
    {
      const std::lock_guard said_lock(said_mutex);
      before = std::exchange(said[name], error);
    }
    if (before == error) return error.empty();
    if (error.empty()) {
      spdlog::info("{}: works again", name);
    } else {
      spdlog::error("{}: {}", name, error);
    }
    return error.empty();
  }
  // What lies in the trash may take long to remove: not at the cost of the start.
  void look_after_space() {
    service->retention().empty_trash();
    if (options.quota_bytes) service->retention().gc({options.quota_bytes, std::nullopt}, false);
  }

  // Workers are asked to leave and waited for; the grace time belongs to the dispatcher, which kills what overstays.
  void drain_workers() {
    run_round("shutdown", [this] { dispatcher->begin_shutdown(); });
    const auto patience = options.grace + kKillPatience;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    bool live = true;
    while (live && std::chrono::steady_clock::now() < deadline) {
      run_round("shutdown", [&] {
        ingest->drain_live();
        dispatcher->tick();
        live = dispatcher->has_live_runs();
      });
      if (live) std::this_thread::sleep_for(options.tick);
    }
    if (live)
      spdlog::warn("some workers did not leave within {} s; the next start adopts them",
                   std::chrono::duration_cast<std::chrono::seconds>(patience).count());
  }
};

App::App(AppOptions options) : parts_(std::make_unique<Parts>(options)) {}

App::~App() {
  stop();
}

void App::start() {
  Parts& p = *parts_;
  p.sender->start();
  p.dispatch_thread = std::thread([&p] { p.dispatch(); });
  p.ingest_thread = std::thread([&p] { p.loop("ingest", p.options.tick, [&p] { p.ingest->drain_live(); }); });
  p.notice_thread = std::thread([&p] { p.loop("notice", p.options.tick, [&p] { p.follower->follow(); }); });
  p.retention_thread = std::thread([&p] { p.loop("retention", kRetentionPeriod, [&p] { p.look_after_space(); }); });
}

void App::stop() {
  Parts& p = *parts_;
  std::call_once(p.stopped, [&p] {
    const bool started = p.dispatch_thread.joinable();
    p.pacer.end();
    if (started) {
      p.dispatch_thread.join();
      p.ingest_thread.join();
      p.notice_thread.join();
      p.drain_workers();
      p.retention_thread.join();  // after the workers: it may be emptying a large trash
      p.run_round("notice", [&p] {
        p.follower->follow();
        p.sender->stop(kDeliveryPatience);
      });
    }
    p.bus.close();
    std::error_code ignored;
    std::filesystem::remove(p.paths.announcement(), ignored);
  });
}

void App::announce(const std::string& url, const std::filesystem::path& token_file) {
  const nlohmann::json json = {{"url", url}, {"pid", ::getpid()}, {"token_file", token_file.string()}};
  write_file_atomically(parts_->paths.announcement(), json.dump(2) + "\n", 0600);
}

RunService& App::service() {
  return *parts_->service;
}
EventBus& App::bus() {
  return parts_->bus;
}
Webhooks& App::webhooks() {
  return *parts_->webhooks;
}
MetricsRegistry& App::metrics() {
  return parts_->metrics;
}
const std::filesystem::path& App::home() const {
  return parts_->paths.home();
}

std::filesystem::path default_home() {
  if (const char* home = std::getenv("MOELAB_HOME"); home && *home) return home;
  if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / ".moelab";
  throw core::Error(core::ErrorKind::usage, "neither MOELAB_HOME nor HOME is set; set MOELAB_HOME to a directory");
}

}  // namespace moelab::server
