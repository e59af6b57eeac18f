// Owns what is remembered of each device beyond its readings: failures in a row, quarantine, a person's ban. Called by
// server/devices/device_health only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/database.h"
#include "db/run_store.h"

namespace moelab::db {

struct DeviceRow {
  int failures = 0;                // attempts in a row that ended badly on it
  std::vector<RunId> failed_runs;  // whose they were; each run once
  int quarantines = 0;             // without a completed run between them
  std::optional<core::TimePoint> quarantined_until;
  std::string quarantine_reason;
  bool disabled = false;
  std::string disabled_reason;
  bool operator==(const DeviceRow&) const = default;
};

class DeviceStore {
 public:
  explicit DeviceStore(Connection& connection) : connection_(connection) {}
  // `id` is the UUID of a GPU, else the device's id.
  DeviceRow get(const std::string& id);  // as new for one that nothing is known of
  void put(const std::string& id, const DeviceRow& row);
  std::map<std::string, DeviceRow> all();

 private:
  Connection& connection_;
};

}  // namespace moelab::db
