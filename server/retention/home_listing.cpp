#include "server/retention/home_listing.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "core/config_json.h"
#include "core/error.h"
#include "db/file_store.h"
#include "db/retention_store.h"
#include "server/process_info.h"
#include "server/retention/origins.h"
#include "server/retention/trash.h"

namespace moelab::server {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCheckpointPrefix = "step_";   // worker/train/checkpoint.h
constexpr const char* kUnfinishedPrefix = ".tmp_";   // likewise
constexpr const char* kDamagedSuffix = ".damaged";   // likewise
constexpr const char* kUnfinishedFile = ".tmp";      // server/file_io.cpp: NAME.tmpPID

std::optional<std::int64_t> number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

core::TimePoint changed_at(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  return core::TimePoint(std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::microseconds(status.st_mtim.tv_nsec / 1000));
}

// Of a directory the newest change below it too: a file that still grows does not touch its directory.
core::TimePoint newest_change(const fs::path& path) {
  core::TimePoint newest = changed_at(path);
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(path, missing)) newest = std::max(newest, changed_at(entry.path()));
  return newest;
}

// What the database knows.
struct Known {
  std::map<std::int64_t, db::RunRow> runs;
  std::map<std::int64_t, core::CheckpointConfig> keep;
  std::map<std::int64_t, std::set<std::string>> best;  // relative paths
  std::set<std::int64_t> needed;
  std::vector<db::OriginRow> origins;
};

Known read_known(db::Database& database) {
  return database.read([](db::Connection& c) {
    Known known;
    db::RunStore runs(c);
    db::RetentionStore retention(c);
    for (db::RunRow& run : runs.in_states(core::all_run_states())) {
      if (core::is_terminal(run.state)) {
        const nlohmann::json spec = runs.spec(run.id);
        const nlohmann::json keep = spec.value("config", nlohmann::json::object()).value("checkpoint", nlohmann::json::object());
        const core::CheckpointConfig defaults;
        known.keep[run.id] = {keep.value("keep_last", defaults.keep_last), keep.value("keep_best", defaults.keep_best)};
        for (const db::CheckpointRow& row : db::FileStore(c).checkpoints(run.id)) {
          if (row.best) known.best[run.id].insert(row.path);
        }
      }
      known.runs.emplace(run.id, std::move(run));
    }
    known.needed = retention.needed();
    known.origins = retention.origins();
    return known;
  });
}

class Lister {
 public:
  Lister(const HomePaths& paths, Known known) : paths_(paths), known_(std::move(known)), origins_(known_.origins) {}

  HomeListing list() {
    for (const fs::path& directory : entries_of(paths_.runs())) {
      const std::optional<std::int64_t> id = number(directory.filename().string());
      if (id && fs::is_directory(directory)) listing_.runs.push_back(run(*id, directory));
    }
    for (const fs::path& kind : entries_of(paths_.cache())) {
      if (!fs::is_directory(kind)) continue;
      for (const fs::path& entry : entries_of(kind)) {
        if (fs::is_directory(entry)) listing_.cache.push_back(held(entry));
      }
    }
    for (const fs::path& path : entries_of(paths_.trash())) listing_.trash.push_back(held(path));
    listing_.bytes = bytes_of(paths_.home());
    return std::move(listing_);
  }

 private:
  std::string below_home(const fs::path& path) const { return path.lexically_relative(paths_.home()).generic_string(); }
  HeldFile held(const fs::path& path) const { return {below_home(path), bytes_of(path), newest_change(path)}; }

  bool is_origin(const fs::path& directory) const { return !origins_.users(directory).empty(); }

  HeldRun run(std::int64_t id, const fs::path& directory) const {
    HeldRun run;
    run.id = id;
    run.path = below_home(directory);
    run.bytes = bytes_of(directory);
    run.has_journal = bytes_of(paths_.journal(id)) > 0;
    const auto row = known_.runs.find(id);
    run.known = row != known_.runs.end();
    if (!run.known) {
      run.worker_lives = find_worker(directory.string()).has_value();
      return run;
    }
    run.state = row->second.state;
    run.worker_lives = core::is_live(run.state);
    run.started_at = row->second.started_at;
    run.attempt_started_at = row->second.attempt_started_at;
    run.finished_at = row->second.finished_at;
    if (const auto keep = known_.keep.find(id); keep != known_.keep.end()) {
      run.keep_last = keep->second.keep_last;
      run.keep_best = keep->second.keep_best > 0;
    }
    run.needed = known_.needed.contains(id) || is_origin(directory);
    add_checkpoints(run, paths_.checkpoints(id));
    const std::string own = kUnfinishedFile + std::to_string(::getpid());
    for (const fs::path& file : entries_of(directory)) {
      const std::string name = file.filename().string();
      if (name.find(kUnfinishedFile) != std::string::npos && !name.ends_with(own)) run.half_written.push_back(held(file));
    }
    return run;
  }

  void add_checkpoints(HeldRun& run, const fs::path& directory) const {
    const auto best = known_.best.find(run.id);
    for (const fs::path& path : entries_of(directory)) {
      const std::string name = path.filename().string();
      if (name.starts_with(kUnfinishedPrefix)) {
        run.half_written.push_back(held(path));
      } else if (name.ends_with(kDamagedSuffix)) {
        run.damaged.push_back(held(path));
      } else if (const auto step = name.starts_with(kCheckpointPrefix) ? number(name.substr(5)) : std::nullopt; step) {
        const bool is_best = best != known_.best.end() && best->second.contains("checkpoints/" + name);
        run.checkpoints.push_back({held(path), *step, is_best, is_origin(path)});
      }
    }
    const auto older = [](const HeldCheckpoint& a, const HeldCheckpoint& b) { return a.step < b.step; };
    std::sort(run.checkpoints.begin(), run.checkpoints.end(), older);
  }

  const HomePaths& paths_;
  Known known_;
  Origins origins_;
  HomeListing listing_;
};

}  // namespace

HomeListing list_home(db::Database& database, const HomePaths& paths) {
  return Lister(paths, read_known(database)).list();
}

}  // namespace moelab::server
