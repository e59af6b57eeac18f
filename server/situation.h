// Owns gathering what the scheduler decides on: the queue with its dependencies, what lives, the devices as they are offered. Reads one
// snapshot of the database and what the device monitor says. Called by the dispatcher.
#pragma once

#include <string>
#include <vector>

#include "db/run_store.h"
#include "server/devices/device_monitor.h"
#include "server/scheduler.h"

namespace moelab::server {

struct SituationRules {
  int most_at_once = 0;                // on this server; 0 = no limit
  bool slurm_by_default = false;       // what resources.launcher "auto" means
  std::string closed;                  // a further reason to start nothing (no disk space); empty = none
};

Situation gather_situation(db::Connection& connection, const std::vector<DeviceStanding>& devices, bool has_gpus,
                           const SituationRules& rules);

// The kind of device a run asks for. has_gpus: what a run takes that leaves the choice open.
DeviceKind kind_wanted(const db::Resources& resources, bool has_gpus, bool slurm_by_default);

}  // namespace moelab::server
