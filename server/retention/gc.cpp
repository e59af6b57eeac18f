#include "server/retention/gc.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "core/error.h"
#include "db/retention_store.h"
#include "db/run_store.h"
#include "server/process_info.h"
#include "server/retention/disk_guard.h"
#include "server/retention/home_listing.h"
#include "server/retention/trash.h"

namespace moelab::server {
namespace {

namespace fs = std::filesystem;

// The lock under which workers build and replace an entry of the cache (worker/data/content_cache.h): KIND/KEY.lock.
class EntryLock {
 public:
  explicit EntryLock(const fs::path& entry) {
    const std::string name = entry.filename().string();
    const fs::path file = entry.parent_path() / (name.substr(0, name.find('.')) + ".lock");
    fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    held_ = fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
  }
  ~EntryLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  EntryLock(const EntryLock&) = delete;
  EntryLock& operator=(const EntryLock&) = delete;
  bool held() const { return held_; }

 private:
  int fd_ = -1;
  bool held_ = false;
};

class Collector {
 public:
  Collector(db::Database& database, const HomePaths& paths, const HomeListing& listing)
      : database_(database), paths_(paths), listing_(listing), trash_(paths) {}

  // Why it stays; empty when it is gone.
  std::string drop(const Drop& drop) const {
    const fs::path path = paths_.home() / drop.path;
    switch (drop.kind) {
      case DropKind::trash:
        return "";
      case DropKind::half_written:
      case DropKind::damaged:
      case DropKind::surplus_checkpoint:
      case DropKind::checkpoint_over_quota:
        return drop_of_run(drop, path);
      case DropKind::orphan:
        return drop_orphan(path);
      case DropKind::cache:
        break;
    }
    return drop_entry(drop, path);
  }

 private:
  const HeldRun* planned(std::int64_t id) const {
    for (const HeldRun& run : listing_.runs) {
      if (run.id == id) return &run;
    }
    return nullptr;
  }

  // In the write lock, so that nobody queues the run at this moment.
  std::string drop_of_run(const Drop& drop, const fs::path& path) const {
    return database_.write([&](db::Connection& c) -> std::string {
      const std::optional<db::RunRow> run = db::RunStore(c).find(*drop.run);
      const HeldRun* then = planned(*drop.run);
      if (!run || !then || run->state != then->state) return "the run has changed meanwhile";
      if (!then->needed && !db::RetentionStore(c).dependents(*drop.run).empty()) return "another run needs it meanwhile";
      trash_.take(path);
      return "";
    });
  }

  // A submission makes its directories in the write lock.
  std::string drop_orphan(const fs::path& path) const {
    return database_.write([&](db::Connection& c) -> std::string {
      if (db::RunStore(c).find(std::stoll(path.filename().string()))) return "it has become a run meanwhile";
      if (find_worker(path.string())) return "a worker trains in it";
      trash_.take(path);
      return "";
    });
  }

  std::string drop_entry(const Drop& drop, const fs::path& path) const {
    const EntryLock lock(path);
    if (!lock.held()) return "a worker is building it";
    // A worker marks an entry before it looks into it.
    std::error_code gone;
    const auto changed = fs::last_write_time(path, gone);
    for (const HeldFile& entry : listing_.cache) {
      if (entry.path != drop.path) continue;
      if (gone || std::chrono::file_clock::to_sys(changed) > entry.changed + std::chrono::seconds(1)) return "it is in use again";
    }
    trash_.take(path);
    return "";
  }

  db::Database& database_;
  const HomePaths& paths_;
  const HomeListing& listing_;
  Trash trash_;
};

}  // namespace

GcReport collect_garbage(db::Database& database, const HomePaths& paths, const GcRules& rules, bool dry_run, core::TimePoint now) {
  const HomeListing listing = list_home(database, paths);
  GcReport report;
  report.plan = plan_gc(listing, rules, now);
  report.dry_run = dry_run;
  if (dry_run) return report;
  const Collector collector(database, paths, listing);
  for (const Drop& drop : report.plan.drops) {
    std::string stays;
    try {
      stays = collector.drop(drop);
    } catch (const core::Error& error) {
      stays = error.what();
    }
    if (!stays.empty()) report.failed.emplace_back(drop.path, stays);
  }
  report.freed_bytes = Trash(paths).empty();
  if (report.freed_bytes > 0) spdlog::info("gc: {} freed", size_text(report.freed_bytes));
  return report;
}

}  // namespace moelab::server
