// Owns the GPU inventory on top of NVML. Called by make_inventory and, with a table of its own, by the test.
//
// The pool: a CUDA_VISIBLE_DEVICES that the daemon was started with limits it to those GPUs, given by index in PCI bus
// order or by (the start of a) UUID, as CUDA itself reads it; like CUDA, reading stops at the first entry that does not
// exist. A GPU in MIG mode is shown but not used: its slices would need leases of their own. Inside a container NVML
// reports the pids of the host, so processes of other containers and even our own show as unknown ones ("?"); a GPU they
// compute on still counts as busy.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "server/device_inventory.h"
#include "server/nvml_api.h"

namespace moelab::server {

// Null when there is no usable GPU; `why_not` then holds one sentence.
std::unique_ptr<DeviceInventory> make_nvml_inventory(std::string* why_not);
// The same over a given table and pool. `pool` = the daemon's CUDA_VISIBLE_DEVICES if it is set.
std::unique_ptr<DeviceInventory> make_nvml_inventory(const NvmlTable& table, const std::optional<std::string>& pool, std::string* why_not);

}  // namespace moelab::server
