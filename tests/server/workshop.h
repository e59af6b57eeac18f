// Owns a daemon without threads and without processes, for tests that turn everything by hand: the real dispatcher, stores, ingest and
// scheduler; workers that do what the test says and outlive a restart of the daemon; two CPU slots.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/devices/device_monitor.h"
#include "server/dispatcher.h"
#include "server/queue_mode.h"
#include "server/run_verbs.h"
#include "tests/server/engine_fixture.h"

namespace moelab::test {

struct ScriptedWorker {
  std::int64_t run = 0;
  server::LaunchRequest request;
  std::unique_ptr<JournalWriter> journal;
  bool alive = true, released = false, terminated = false, killed = false;
  bool child = true;  // of the daemon that lives now: only then its exit can be told
  server::Exit exit;
};

class ScriptedLauncher final : public server::Launcher {
 public:
  explicit ScriptedLauncher(const server::HomePaths& paths) : paths_(paths) {}
  db::ProcessIdentity spawn(const server::LaunchRequest& request) override {
    if (!refuses.empty()) {
      if (before_refusing) before_refusing();
      throw core::Error(refusal, refuses);
    }
    ScriptedWorker worker;
    worker.run = request.run_id;
    worker.request = request;
    worker.journal = std::make_unique<JournalWriter>(paths_.journal(request.run_id), request.attempt);
    const std::int64_t pid = 1000 + static_cast<std::int64_t>(workers.size());
    workers[pid] = std::move(worker);
    return {pid, pid * 10, boot};
  }
  void release(const db::ProcessIdentity& p) override { workers.at(p.pid).released = true; }
  std::optional<server::Exit> poll(const db::ProcessIdentity& p) override {
    if (p.boot_id != boot) {
      server::Exit exit;
      exit.rebooted = true;
      return exit;
    }
    const ScriptedWorker& worker = workers.at(p.pid);
    if (worker.alive) return std::nullopt;
    return worker.child ? worker.exit : server::Exit{};
  }
  void forget(const db::ProcessIdentity&) override {}
  std::string waits(const db::ProcessIdentity&) const override { return waiting; }
  bool terminate(const db::ProcessIdentity& p) override {
    workers.at(p.pid).terminated = workers.at(p.pid).terminated || reachable;
    return reachable;
  }
  void kill(const db::ProcessIdentity& p) override {
    ScriptedWorker& worker = workers.at(p.pid);
    worker.killed = true;
    if (std::exchange(worker.alive, false)) worker.exit.signal = 9;
  }

  std::map<std::int64_t, ScriptedWorker> workers;  // by pid
  std::string boot = "boot";
  std::string refuses;  // why no worker can be started; empty = it can
  std::function<void()> before_refusing;  // what happens meanwhile
  core::ErrorKind refusal = core::ErrorKind::storage;
  std::string waiting;  // what a released worker waits for
  bool reachable = true;  // a SIGTERM gets through

 private:
  const server::HomePaths& paths_;
};

struct Workshop {
  explicit Workshop(server::DispatcherOptions given = {std::chrono::seconds(5), std::chrono::seconds(1), 0, false})
      : options(given), launcher(home.paths) {
    restart();
  }

  // The daemon is gone, however it went, and another one starts.
  void restart() {
    for (auto& [pid, worker] : launcher.workers) {
      worker.child = false;
      if (worker.alive && !worker.released) worker.alive = false;  // its gate closed
    }
    monitor.emplace(*inventory, home.clock);
    ingest.emplace(home.database, home.paths, home.clock, home.bus);
    dispatcher.emplace(home.database, home.paths, home.clock, launcher, *monitor, *ingest, home.bus, reasons, options);
  }
  void reboot() {
    for (auto& [pid, worker] : launcher.workers) worker.alive = false;
    launcher.boot += "'";
    restart();
  }
  // Ticks a few times, a second apart: what one tick asks for, the next carries out.
  void tick(int times = 3) {
    for (int i = 0; i < times; ++i) {
      ingest->drain_live();
      dispatcher->tick();
      home.clock.advance(std::chrono::seconds(1));
    }
  }
  std::optional<std::string> act(server::RunVerb verb, std::int64_t id) {
    const auto refused = home.database.write([&](db::Connection& c) { return server::apply_verb(c, id, verb, home.clock.now()); });
    home.bus.run_changed(id);
    return refused;
  }
  void set_mode(server::QueueMode::Kind kind) {
    home.database.write([&](db::Connection& c) { server::write_queue_mode(c, {kind, "", home.clock.now()}); });
    home.bus.queue_changed();
  }
  core::RunState state(std::int64_t id) { return home.run(id).state; }
  // The newest worker of the run.
  ScriptedWorker& worker(std::int64_t id) {
    ScriptedWorker* newest = nullptr;
    for (auto& [pid, worker] : launcher.workers) {
      if (worker.run == id) newest = &worker;
    }
    REQUIRE_MESSAGE(newest, "run " << id << " has no worker");
    return *newest;
  }
  void starts(std::int64_t id) { worker(id).journal->started(0); }
  void leaves(std::int64_t id, const std::string& status, int code, const std::string& reason = "") {
    ScriptedWorker& w = worker(id);
    w.journal->finished(0, status, reason, "");
    w.alive = false;
    w.exit.code = code;
  }
  void dies(std::int64_t id, int signal = 11) {
    ScriptedWorker& w = worker(id);
    w.alive = false;
    w.exit.signal = signal;
  }
  // Queued -> running, with the worker there.
  std::int64_t running_run(const std::string& name, db::Resources resources = {.gpus = 0, .max_restarts = 3}) {
    const std::int64_t id = home.add_run(name, resources);
    home.bus.run_changed(id);
    tick(1);
    starts(id);
    tick(1);
    REQUIRE(state(id) == core::RunState::running);
    return id;
  }

  server::DispatcherOptions options;
  EngineHome home;
  ScriptedLauncher launcher;
  server::WaitReasons reasons;
  std::unique_ptr<server::DeviceInventory> inventory = server::make_cpu_inventory(2, false);
  std::optional<server::DeviceMonitor> monitor;
  std::optional<server::Ingest> ingest;
  std::optional<server::Dispatcher> dispatcher;
};

}  // namespace moelab::test
