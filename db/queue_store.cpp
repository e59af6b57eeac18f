#include "db/queue_store.h"

#include "db/statement.h"

namespace moelab::db {
namespace {

// The largest peak that a run of the same memory key has reported, for runs that may share a device.
constexpr const char* kPeaks =
    "WITH asked AS (SELECT DISTINCT memory_key FROM runs INDEXED BY runs_that_share WHERE share_gpu = 1 AND memory_key <> '' "
    "AND (state = 'queued' OR device IS NOT NULL)), "
    "peaks AS (SELECT o.memory_key, max(s.last_value) AS mb FROM asked a JOIN runs o ON o.memory_key = a.memory_key "
    "JOIN series s ON s.run_id = o.id AND s.key = 'perf/peak_memory_mb' GROUP BY o.memory_key) ";
constexpr const char* kPeak = "CASE WHEN r.share_gpu = 1 THEN p.mb END FROM runs r LEFT JOIN peaks p ON p.memory_key = r.memory_key ";

}  // namespace

std::vector<QueueEntry> QueueStore::entries() {
  std::vector<QueueEntry> list;
  Statement row(connection_,
                std::string(kPeaks) +
                    "SELECT r.id, r.priority, r.queued_ms, r.not_before_ms, r.gpus, r.launcher, r.share_gpu, r.memory_gb, r.forced_device, "
                    "r.on_gpu, " +
                    kPeak + "WHERE r.state = ? ORDER BY r.id",
                core::RunState::queued);
  while (row.step()) {
    QueueEntry entry;
    entry.id = row.integer(0);
    entry.priority = row.small(1);
    entry.queued_at = row.time(2);
    entry.not_before = row.maybe_time(3);
    entry.resources.gpus = row.maybe_integer(4);
    entry.resources.launcher = row.text(5);
    entry.resources.share_gpu = row.boolean(6);
    entry.resources.memory_gb = row.maybe_real(7);
    entry.forced_device = row.text(8);
    entry.on_gpu = row.maybe_boolean(9);
    entry.peak_memory_mb = row.maybe_real(10);
    list.push_back(std::move(entry));
  }
  return list;
}

std::vector<LiveLease> QueueStore::leases() {
  std::vector<LiveLease> list;
  Statement row(connection_, std::string(kPeaks) + "SELECT r.id, r.device, r.lease_shared, r.memory_gb, " + kPeak +
                                 "WHERE r.device IS NOT NULL ORDER BY r.id");
  while (row.step()) list.push_back({row.integer(0), row.text(1), row.boolean(2), row.maybe_real(3), row.maybe_real(4)});
  return list;
}

bool QueueStore::any_for_slurm(bool by_default) {
  Statement row(connection_,
                "SELECT EXISTS (SELECT 1 FROM runs INDEXED BY runs_by_launcher WHERE state = ? "
                "AND launcher IN ('slurm', CASE WHEN ? THEN 'auto' END))",
                core::RunState::queued, by_default);
  row.step();
  return row.boolean(0);
}

}  // namespace moelab::db
