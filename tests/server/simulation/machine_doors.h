// Owns how the engine sees the simulated machine: its launcher and its device inventory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "server/device_inventory.h"
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
  // `check` sees every launch before it happens and returns the device it is for.
  using Check = std::function<std::string(const server::LaunchRequest&)>;
  SimulatedLauncher(Machine& machine, Fate& fate, std::mt19937& random, Check check)
      : machine_(machine), fate_(fate), random_(random), check_(std::move(check)) {}

  bool may_fail = true;

  db::ProcessIdentity spawn(const server::LaunchRequest& request) override {
    fate_.strike();
    if (may_fail && random_() % 40 == 0) {
      ++machine_.crashes[request.run_id];
      throw core::Error(core::ErrorKind::storage, "no more processes");
    }
    const db::ProcessIdentity process = machine_.spawn(request.run_id, request.attempt, check_(request));
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
    Worker* worker = machine_.find(process);
    if (worker && !worker->released) worker->alive = false;
  }
  void terminate(const db::ProcessIdentity& process) override {
    fate_.strike();
    if (Worker* worker = machine_.find(process)) worker->asked_to_leave = true;
  }
  void kill(const db::ProcessIdentity& process) override {
    fate_.strike();
    Worker* worker = machine_.find(process);
    if (!worker || !worker->alive) return;
    if (machine_.has_stalled(*worker)) ++machine_.crashes[worker->run];
    machine_.kill(*worker, 9);
  }

 private:
  Machine& machine_;
  Fate& fate_;
  std::mt19937& random_;
  Check check_;
};

}  // namespace moelab::sim
