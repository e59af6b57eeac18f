#include "server/retention/retention_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/error.h"
#include "db/retention_store.h"
#include "server/retention/origins.h"
#include "server/retention/trash.h"
#include "server/run_changes.h"
#include "server/submission.h"

namespace moelab::server {
namespace {

[[noreturn]] void conflict(const std::string& message) {
  throw core::Error(core::ErrorKind::conflict, message);
}

std::string name(const db::RunRow& run) {
  return "run " + std::to_string(run.id) + " (" + run.name + ")";
}

// Throws Error(conflict) unless all of `ids` may go together.
class RemovalCheck {
 public:
  RemovalCheck(db::Connection& c, const HomePaths& paths, const std::set<RunId>& ids)
      : connection_(c), paths_(paths), ids_(ids), origins_(db::RetentionStore(c).origins()) {}

  void require_removable() {
    for (const RunId id : ids_) {
      const db::RunRow run = db::RunStore(connection_).get(id);
      if (core::is_live(run.state)) conflict(name(run) + " is " + core::to_string(run.state) + ": cancel it before you delete it");
      require_unneeded(run, db::RetentionStore(connection_).dependents(id), "depends on it");
      require_unneeded(run, origins_.users(paths_.run(id)), "starts from its files");
    }
  }

 private:
  void require_unneeded(const db::RunRow& run, const std::vector<RunId>& users, const std::string& how) {
    for (const RunId user : users) {
      if (ids_.contains(user)) continue;
      const db::RunRow other = db::RunStore(connection_).get(user);
      conflict(name(run) + " cannot be deleted: " + name(other) + ", which is " + core::to_string(other.state) + ", " + how +
               "; cancel or delete that first");
    }
  }

  db::Connection& connection_;
  const HomePaths& paths_;
  const std::set<RunId>& ids_;
  Origins origins_;
};

}  // namespace

void RetentionService::put_back_half_deleted() {
  Trash(paths_).put_back_runs([this](std::int64_t id) {
    return database_.read([&](db::Connection& c) { return db::RunStore(c).find(id).has_value(); });
  });
}

void RetentionService::empty_trash() {
  const std::lock_guard one_at_a_time(mutex_);
  Trash(paths_).empty();
}

Deleted RetentionService::remove(const std::vector<RunId>& ids) {
  return remove(ids, std::nullopt);
}

Deleted RetentionService::remove_experiment(ExperimentId id) {
  return remove({}, id);
}

Deleted RetentionService::remove(std::vector<RunId> ids, std::optional<ExperimentId> experiment) {
  const std::lock_guard one_at_a_time(mutex_);
  const Trash trash(paths_);
  std::vector<std::filesystem::path> taken;
  std::set<ExperimentId> experiments;
  Deleted deleted;
  try {
    database_.write([&](db::Connection& c) {
      db::RunStore runs(c);
      db::ExperimentStore listed(c);
      if (experiment) {
        listed.get(*experiment);
        for (const db::MemberRow& member : listed.members(*experiment)) {
          const bool elsewhere = listed.experiments_of(member.run_id).size() > 1;
          (elsewhere ? deleted.kept : ids).push_back(member.run_id);
        }
      }
      const std::set<RunId> unique(ids.begin(), ids.end());
      RemovalCheck(c, paths_, unique).require_removable();
      for (const RunId id : unique) {
        for (const ExperimentId of : listed.experiments_of(id)) experiments.insert(of);
        runs.erase(id);
        deleted.runs.push_back(id);
      }
      if (experiment) {
        experiments.insert(*experiment);  // also when it has no run of its own
        db::RetentionStore(c).erase_experiment(*experiment);
        FileBatch files;
        for (const RunId id : deleted.kept) add_listings(files, c, paths_, id);
        files.put_in_place();
      }
      // Last, so that nothing but a failing commit can come after: then they are put back.
      for (const RunId id : unique) {
        if (std::filesystem::exists(paths_.run(id))) taken.push_back(trash.take(paths_.run(id)));
      }
    });
  } catch (...) {
    for (const std::filesystem::path& path : taken) trash.put_back(path);
    throw;
  }
  for (const RunId id : deleted.runs) {
    bus_.run_changed(id);
    spdlog::info("run {} deleted", id);
  }
  for (const ExperimentId id : experiments) bus_.experiment_changed(id);
  publish(deleted.kept);
  trash.empty();
  return deleted;
}

GcReport RetentionService::gc(const GcRules& rules, bool dry_run) {
  const std::lock_guard one_at_a_time(mutex_);
  return collect_garbage(database_, paths_, rules, dry_run, clock_.now());
}

void RetentionService::publish(const std::vector<RunId>& ids) {
  for (const RunId id : ids) RunChanges(database_, bus_).publish(id);
}

}  // namespace moelab::server
