// Owns what the scheduler reads of the runs that wait and of those that live: a few columns, for thousands of runs at once. Called by
// server/situation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "db/run_store.h"

namespace moelab::db {

struct QueueEntry {
  RunId id = 0;
  int priority = 0;
  core::TimePoint queued_at;
  std::optional<core::TimePoint> not_before;
  Resources resources;                   // gpus, launcher, share_gpu and memory_gb only
  std::string forced_device;             // as in RunRow
  std::optional<double> peak_memory_mb;  // the largest measured in a run of the same memory key; nothing = none was
  std::optional<bool> on_gpu;            // as in RunRow
};

struct LiveLease {
  RunId id = 0;
  std::string device;
  bool shared = false;
  std::optional<double> memory_gb, peak_memory_mb;  // as above
};

class QueueStore {
 public:
  explicit QueueStore(Connection& connection) : connection_(connection) {}
  std::vector<QueueEntry> entries();  // queued runs, by id
  std::vector<LiveLease> leases();    // of live runs, by id
  // A queued run goes to Slurm. by_default: those of resources.launcher "auto" do.
  bool any_for_slurm(bool by_default);

 private:
  Connection& connection_;
};

}  // namespace moelab::db
