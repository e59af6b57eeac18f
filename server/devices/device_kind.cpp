#include "server/devices/device_kind.h"

namespace moelab::server {

std::string to_string(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::gpu:
      return "gpu";
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::slurm:
      return "slurm";
  }
  return "cpu";
}

}  // namespace moelab::server
