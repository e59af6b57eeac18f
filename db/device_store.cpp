#include "db/device_store.h"

#include <nlohmann/json.hpp>

#include "db/statement.h"

namespace moelab::db {

std::map<std::string, DeviceRow> DeviceStore::all() {
  std::map<std::string, DeviceRow> rows;
  Statement row(connection_,
                "SELECT id, failures, failed_runs, quarantines, quarantined_until_ms, reason, disabled, disabled_reason "
                "FROM device_states");
  while (row.step()) {
    rows[row.text(0)] = {row.small(1), nlohmann::json::parse(row.text(2)).get<std::vector<RunId>>(),
                         row.small(3), row.maybe_time(4),
                         row.text(5),  row.boolean(6),
                         row.text(7)};
  }
  return rows;
}

DeviceRow DeviceStore::get(const std::string& id) {
  const std::map<std::string, DeviceRow> rows = all();
  const auto found = rows.find(id);
  return found == rows.end() ? DeviceRow{} : found->second;
}

void DeviceStore::put(const std::string& id, const DeviceRow& row) {
  Statement(connection_,
            "INSERT OR REPLACE INTO device_states (id, failures, failed_runs, quarantines, quarantined_until_ms, reason, disabled, "
            "disabled_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            id, row.failures, nlohmann::json(row.failed_runs).dump(), row.quarantines, row.quarantined_until, row.quarantine_reason,
            row.disabled, row.disabled_reason)
      .run();
}

}  // namespace moelab::db
