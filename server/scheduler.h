// Owns the decision which queued run goes to which device now, and the sentence why each of the others waits. Pure: no clock, no
// database, no process; the dispatcher gathers the situation, asks, and carries the answer out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/clock.h"
#include "server/devices/device_kind.h"
#include "server/devices/packing.h"

namespace moelab::server {

// Whose turn comes first: a run that a person forces; then larger priority; then first come, first served; then by id.
using Turn = std::tuple<bool, std::int64_t, core::TimePoint, std::int64_t>;
inline Turn turn_of(bool forced, int priority, core::TimePoint queued_at, std::int64_t id) {
  return {!forced, -static_cast<std::int64_t>(priority), queued_at, id};
}

struct QueuedRun {
  std::int64_t id = 0;
  int priority = 0;
  core::TimePoint queued_at;
  std::optional<core::TimePoint> not_before;  // back-off after a crash
  DeviceKind kind = DeviceKind::cpu;          // of the device it needs
  std::vector<std::int64_t> experiments;      // that list it
  std::string waits_for;                      // the runs it depends on, as a sentence; empty = they have completed
  bool forced = false;                        // a person wants it started whoever uses the device
  std::string forced_device;                  // that one; empty = any of its kind
  bool share_gpu = false;                     // with others that say so
  std::optional<double> need_mb;              // of device memory, see memory_need_mb(); nothing = not known yet
};

struct RunningRun {
  std::int64_t id = 0;
  std::vector<std::int64_t> experiments;
};

// A device as the scheduler sees it.
struct DeviceOffer {
  std::string id;
  DeviceKind kind = DeviceKind::cpu;
  std::string why_not;        // why nothing can be started on it, "gpu0 is leased to run 3 (a1)"; empty = it is free
  bool can_be_forced = false;  // why_not is the work of others, which a person may overrule
  std::string why_not_shared;  // why no run may join those on it (somebody else is there too); empty = as far as memory goes
  PackedGpu gpu;               // of a GPU: its memory, and the runs that hold it
};

struct Limit {
  int most = 0;      // runs at once
  std::string name;  // of the experiment
};

struct Situation {
  std::vector<QueuedRun> queue;
  std::vector<RunningRun> running;  // every live run
  std::vector<DeviceOffer> devices;
  std::map<std::int64_t, Limit> limits;  // by experiment; absent = no limit
  int most_at_once = 0;                  // on this server; 0 = no limit
  std::string closed;                    // why nothing at all is started ("the queue is on hold"); empty = open
};

struct Launch {
  std::int64_t run = 0;
  std::string device;
  bool shared = false;
  bool forced = false;  // somebody else is on it
};

struct Decision {
  std::vector<Launch> launches;               // in the order to launch
  std::map<std::int64_t, std::string> waits;  // every other queued run -> why, one sentence
};

// A run that must wait (back-off, dependency, limit, no device of its kind) holds up nobody behind it. A run listed by several
// experiments counts in all of them and needs room in all of them. A device that others share is taken before a free one.
Decision decide(const Situation& situation, core::TimePoint now);

}  // namespace moelab::server
