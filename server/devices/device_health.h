// Owns which devices are kept out of use: GPUs in quarantine, because attempts failed on them in a row or they kept the memory
// of a run that had ended, and devices that a person disabled. Remembered in the database by the UUID of a GPU, so a restart or
// another numbering does not forget it. Called through device_monitor, from any thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "core/clock.h"
#include "db/database.h"
#include "db/device_store.h"
#include "db/run_store.h"
#include "server/devices/device_inventory.h"
#include "server/launcher.h"

namespace moelab::server {

// A GPU is quarantined after this many failed attempts in a row, if they were of so many runs: one that always crashes is no
// proof. Each further quarantine without a completed run between them lasts twice as long.
inline constexpr int kFailuresInARow = 3;
inline constexpr std::size_t kDistinctRuns = 2;
inline constexpr std::chrono::minutes kFirstQuarantine{30};
inline constexpr std::chrono::minutes kLongestQuarantine{24 * 60};

// What an attempt says of the device it ran on.
enum class DeviceVerdict {
  good,     // it did its work to the end: completed or pruned
  bad,      // it may be the device: a crash, a hang, lost, a CUDA error other than out of memory
  neutral,  // everything else: bad configuration or data, out of memory, asked to stop, the machine restarted
};
DeviceVerdict verdict_on_device(const db::RunRow& run, const Exit& exit, const std::optional<db::FinalWord>& word, const db::AttemptEnd& end);

// Pure: what a row becomes.
db::DeviceRow after_success(db::DeviceRow row);
db::DeviceRow after_failure(db::DeviceRow row, db::RunId run, core::TimePoint now);
db::DeviceRow after_quarantine(db::DeviceRow row, const std::string& reason, core::TimePoint now);

class DeviceHealth {
 public:
  DeviceHealth(db::Database& database, const core::Clock& clock) : database_(database), clock_(clock) {}

  // By the key of a device: its UUID, or its id where it has none.
  std::map<std::string, db::DeviceRow> rows() const;
  static std::string key(const Device& device) { return device.uuid.empty() ? device.id : device.uuid; }

  // The end of an attempt on a GPU; CPU slots are not judged.
  void attempt_ended(const Device& device, db::RunId run, DeviceVerdict verdict);
  void quarantine(const Device& device, const std::string& reason);
  // Lifts a quarantine as well, and forgets the failures.
  void enable(const Device& device);
  void disable(const Device& device, const std::string& reason);

 private:
  template <class Change>
  void change(const Device& device, Change&& change);

  db::Database& database_;
  const core::Clock& clock_;
};

}  // namespace moelab::server
