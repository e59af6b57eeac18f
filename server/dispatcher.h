// Owns the tick: reaps workers that are gone, enforces time limits, carries out stops (SIGTERM, grace, SIGKILL), reads the
// devices and launches what the scheduler decides. All it must remember is in the database, so a new dispatcher goes on
// where a killed one stood: a live run is adopted by the identity of its process. Used from one thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/database.h"
#include "db/run_store.h"
#include "server/device_monitor.h"
#include "server/event_bus.h"
#include "server/ingest.h"
#include "server/launcher.h"
#include "server/paths.h"

namespace moelab::server {

struct DispatcherOptions {
  std::chrono::milliseconds grace{60'000};          // from SIGTERM to SIGKILL
  std::chrono::milliseconds device_interval{1000};  // between two readings of the devices
};

class Dispatcher {
 public:
  Dispatcher(db::Database& database, HomePaths paths, const core::Clock& clock, Launcher& launcher, DeviceMonitor& devices, Ingest& ingest,
             EventBus& bus, DispatcherOptions options = {});

  // One pass. An error that concerns one run is logged and leaves the others alone.
  void tick();
  // From now on launches nothing and asks every live run to checkpoint and leave; tick() goes on until has_live_runs() is false.
  void begin_shutdown();
  bool has_live_runs();

 private:
  void reap(const db::RunRow& run);
  void check_timeout(const db::RunRow& run);
  void carry_out_stop(const db::RunRow& run);
  void read_devices();
  void skip_orphans();
  void launch_what_fits();
  // The run whose weights `run` starts from.
  static std::optional<db::RunRow> origin(db::RunStore& runs, const db::RunRow& run);
  void launch(std::int64_t run_id, const std::string& device_id);
  void prepare_run_directory(const db::RunRow& run);
  void for_each_live(const std::function<void(const db::RunRow&)>& work);
  void guard(std::int64_t run_id, const std::function<void()>& work);
  void publish(std::int64_t run_id);
  template <class Change>
  void change(std::int64_t run_id, Change&& change);
  template <class Change>
  void change_if(std::int64_t run_id, Change&& change);  // `change` returns whether it did anything

  db::Database& database_;
  HomePaths paths_;
  const core::Clock& clock_;
  Launcher& launcher_;
  DeviceMonitor& devices_;
  Ingest& ingest_;
  EventBus& bus_;
  DispatcherOptions options_;
  bool shutting_down_ = false;
  std::set<std::int64_t> asked_to_leave_;  // runs this dispatcher has sent SIGTERM
  std::vector<std::string> leased_;        // devices at the last reading
  std::optional<core::TimePoint> devices_read_at_;
  std::map<std::int64_t, std::string> last_error_;
};

}  // namespace moelab::server
