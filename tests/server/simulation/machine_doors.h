// Owns how the engine sees the simulated machine: its launcher and its device inventory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "server/devices/device_inventory.h"
#include "server/launcher.h"
#include "tests/server/simulation/fate.h"
#include "tests/server/simulation/machine.h"

namespace moelab::sim {

class SimulatedInventory final : public server::DeviceInventory {
 public:
  explicit SimulatedInventory(Machine& machine) : machine_(machine) {}
  std::string name() const override { return "nvml"; }
  std::string note() const override { return ""; }
  std::vector<server::Device> list() override { return machine_.devices(); }

 private:
  Machine& machine_;
};

// As process_launcher: a child's end is known, that of an adopted worker is not, nothing survives a reboot.
class SimulatedLauncher final : public server::Launcher {
 public:
  struct Checks {
    std::function<std::string(const server::LaunchRequest&)> launch;  // before it happens; returns the device it is for
    std::function<void(const Worker&)> terminate, kill;               // before they happen, of a living worker
  };
  SimulatedLauncher(Machine& machine, Fate& fate, std::mt19937& random, Checks checks)
      : machine_(machine), fate_(fate), random_(random), checks_(std::move(checks)) {}

  bool may_fail = true;

  db::ProcessIdentity spawn(const server::LaunchRequest& request) override {
    fate_.strike();
    if (may_fail && random_() % 40 == 0) {
      ++machine_.crashes[request.run_id];
      throw core::Error(core::ErrorKind::storage, "no more processes");
    }
    const db::ProcessIdentity process = machine_.spawn(request, checks_.launch(request), may_fail);
    fate_.strike();
    return process;
  }
  void release(const db::ProcessIdentity& process) override {
    fate_.strike();
    if (Worker* worker = machine_.find(process)) worker->released = true;
    fate_.strike();
  }
  std::optional<server::Exit> poll(const db::ProcessIdentity& process) override {
    fate_.strike();
    const Worker* worker = machine_.find(process);
    if (worker && worker->alive) return std::nullopt;
    server::Exit exit;
    if (worker && worker->child) exit = worker->exit;
    exit.rebooted = process.boot_id != machine_.boot_id();
    return exit;
  }
  void forget(const db::ProcessIdentity& process) override {
    if (Worker* worker = machine_.find(process)) machine_.turn_away(*worker);
  }
  bool terminate(const db::ProcessIdentity& process) override {
    Worker* worker = machine_.find(process);
    if (worker && worker->alive) {
      checks_.terminate(*worker);
      if (!worker->asked_at) worker->asked_at = machine_.now();
    }
    fate_.strike();
    if (worker) worker->asked_to_leave = true;
    return true;
  }
  void kill(const db::ProcessIdentity& process) override {
    fate_.strike();
    Worker* worker = machine_.find(process);
    if (!worker || !worker->alive) return;
    checks_.kill(*worker);
    if (machine_.has_stalled(*worker)) ++machine_.crashes[worker->run];
    machine_.kill(*worker, 9);
  }

 private:
  Machine& machine_;
  Fate& fate_;
  std::mt19937& random_;
  Checks checks_;
};

}  // namespace moelab::sim
