// Owns when the devices are read, and tells the device monitor which runs hold which. Used by the dispatcher and its parts, from one thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/database.h"
#include "server/devices/device_monitor.h"
#include "server/event_bus.h"

namespace moelab::server {

class DeviceReader {
 public:
  DeviceReader(db::Database& database, const core::Clock& clock, DeviceMonitor& devices, EventBus& bus, std::chrono::milliseconds interval)
      : database_(database), clock_(clock), devices_(devices), bus_(bus), interval_(interval) {}

  // When the interval is over or a lease has come or gone.
  void read_if_due();
  void read_now();
  // Somebody has set the clock.
  void shift(std::chrono::milliseconds by);

 private:
  std::vector<Lease> leases() const;

  db::Database& database_;
  const core::Clock& clock_;
  DeviceMonitor& devices_;
  EventBus& bus_;
  const std::chrono::milliseconds interval_;
  std::vector<std::string> leased_;  // at the last reading
  std::optional<core::TimePoint> read_at_;
};

}  // namespace moelab::server
