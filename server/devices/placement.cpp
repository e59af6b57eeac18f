#include "server/devices/placement.h"

#include <algorithm>

namespace moelab::server {

Seat check_placement(const std::vector<Device>& readings, const std::string& granted, std::int64_t pid, double idle_mb) {
  const auto is_on = [&](const Device& device) {
    return std::any_of(device.processes.begin(), device.processes.end(), [&](const DeviceProcess& p) { return belongs_to(p, pid); });
  };
  Seat seat;
  for (const Device& device : readings) {
    const bool here = is_on(device);
    if (here && device.id != granted) return {Placement::wrong, device.id};
    if (device.id != granted) continue;
    const bool hides = std::any_of(device.processes.begin(), device.processes.end(), [](const DeviceProcess& p) { return p.hidden; });
    const bool unexplained = device.processes.empty() && device.memory_used_mb.value_or(0) > idle_mb;
    if (here || device.kind != DeviceKind::gpu) {
      seat.placement = Placement::right;
    } else if (hides || unexplained) {
      seat.placement = Placement::unknown;
    }
  }
  return seat;
}

}  // namespace moelab::server
