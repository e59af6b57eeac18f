// Owns the check that a worker really computes on the GPU it was granted: a preset in the environment, a container runtime
// or a CUDA that counts otherwise than NVML may have put it elsewhere. Pure, over the last readings; the dispatcher acts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/devices/device_inventory.h"

namespace moelab::server {

enum class Placement {
  not_seen,  // on no GPU yet: it reads its data first
  right,     // on the granted device; a run on a CPU slot: on no GPU
  wrong,     // on a GPU that it was not granted, whether or not it is on the granted one too
  unknown,   // NVML does not name the processes on the granted GPU: a container hides them
};

struct Seat {
  Placement placement = Placement::not_seen;
  std::string device;  // of `wrong`: where it is
  bool operator==(const Seat&) const = default;
};

// `pid` is the worker's; its children count too, by their session. `idle_mb`: a GPU may show this much memory in use
// without any process on it.
Seat check_placement(const std::vector<Device>& readings, const std::string& granted, std::int64_t pid, double idle_mb);

}  // namespace moelab::server
