// Owns the kinds of device that a run may be given.
#pragma once

#include <string>

namespace moelab::server {

enum class DeviceKind {
  gpu,
  cpu,    // a slot: a share of the machine's cores
  slurm,  // a place for a job in a Slurm cluster, which finds the device itself
};
std::string to_string(DeviceKind kind);

}  // namespace moelab::server
