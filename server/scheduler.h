// Owns the decision which queued run goes to which free device now. Pure: no clock, no database, no process; the
// dispatcher gathers the situation, asks, and carries the answer out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"

namespace moelab::server {

enum class DeviceKind { gpu, cpu };

struct QueuedRun {
  std::int64_t id = 0;
  int priority = 0;                           // larger runs sooner
  core::TimePoint queued_at;                  // then first come, first served; then by id
  std::optional<core::TimePoint> not_before;  // back-off after a crash
  std::optional<std::int64_t> gpus;           // 1, or 0 for a CPU slot; nothing = a GPU if this machine has any
  std::vector<std::int64_t> experiments;      // that list it
};

struct RunningRun {
  std::int64_t id = 0;
  std::vector<std::int64_t> experiments;
};

struct FreeDevice {
  std::string id;
  DeviceKind kind = DeviceKind::cpu;
};

struct Situation {
  std::vector<QueuedRun> queue;
  std::vector<RunningRun> running;  // every live run
  std::vector<FreeDevice> free;
  bool has_gpus = false;               // free or not
  std::map<std::int64_t, int> limits;  // experiment -> most runs at once; absent = no limit
};

struct Launch {
  std::int64_t run = 0;
  std::string device;
};

// In the order to launch. A run that must wait (back-off, limit, no device of its kind) holds up nobody behind it. A run
// listed by several experiments counts in all of them and needs room in all of them.
std::vector<Launch> decide(const Situation& situation, core::TimePoint now);

}  // namespace moelab::server
