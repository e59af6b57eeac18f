// Owns the GPU inventory on top of NVML. Called by make_inventory and by tests.
//
// The pool: a CUDA_VISIBLE_DEVICES that the daemon was started with limits it to those GPUs, given by index in PCI bus
// order or by (the start of a) UUID, as CUDA itself reads it; like CUDA, reading stops at the first entry that does not
// exist. A GPU in MIG mode is shown but not used.
//
// A GPU keeps its number by its UUID for as long as the daemon lives. One that is lost or that the driver no longer lists
// stays in the list with a fault, and comes back as the same. A driver that is missing, or fails later, is tried again.
//
// Inside a container NVML reports the pids of the host, or none: processes of other containers, and even our own, are then
// `hidden`; a GPU they compute on still counts as busy.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "server/devices/device_inventory.h"

namespace moelab::server {

// Without a usable driver it lists nothing, its name is "cpu" and its note says why. `pool` = the daemon's
// CUDA_VISIBLE_DEVICES if it is set. A driver that does not answer is tried again at most every `retry`.
std::unique_ptr<DeviceInventory> make_nvml_inventory(std::optional<std::string> pool, std::chrono::milliseconds retry);

}  // namespace moelab::server
