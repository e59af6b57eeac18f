// Owns what may be thrown away and in which order. Pure: from a listing of the home to a plan; gc.h makes the listing and carries the
// plan out. Journals, run.json, listings.json, logs and artifacts are never in a plan; nor is anything of a run that has not ended,
// but for what a dead attempt left half-written.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/run_state.h"

namespace moelab::server {

// A file or directory, by its path below the home.
struct HeldFile {
  std::string path;
  std::uint64_t bytes = 0;
  core::TimePoint changed;
};

struct HeldCheckpoint {
  HeldFile file;
  std::int64_t step = 0;
  bool best = false;
  bool needed = false;  // a run that has not ended names this one, or a file in it, as its origin
};

// A directory of runs/.
struct HeldRun {
  std::int64_t id = 0;
  std::string path;
  std::uint64_t bytes = 0;  // of all of it
  bool known = true;        // the database has a row
  bool has_journal = true;
  bool worker_lives = false;
  // The rest is of known runs.
  core::RunState state = core::RunState::completed;
  std::optional<core::TimePoint> started_at, attempt_started_at, finished_at;
  std::int64_t keep_last = 2;
  bool keep_best = true;
  bool needed = false;                      // a run that has not ended starts from it or waits for it
  std::vector<HeldCheckpoint> checkpoints;  // whole ones, by step
  std::vector<HeldFile> half_written;       // temporary names
  std::vector<HeldFile> damaged;            // set aside by a worker
};

struct HomeListing {
  std::vector<HeldRun> runs;
  std::vector<HeldFile> cache;  // entries; `changed` is when a worker last used them
  std::vector<HeldFile> trash;  // of deleted runs
  std::uint64_t bytes = 0;      // of the whole home
};

struct GcRules {
  std::optional<std::uint64_t> quota_bytes;         // of the home; nothing = no quota
  std::optional<std::int64_t> keep_checkpoints;     // newest ones of an ended run, in place of its checkpoint.keep_last
  std::chrono::seconds older_than = std::chrono::hours(24 * 30);  // cache entries unused for this long
};

enum class DropKind { trash, half_written, damaged, orphan, cache, surplus_checkpoint, checkpoint_over_quota };
std::string to_string(DropKind kind);

struct Drop {
  DropKind kind = DropKind::trash;
  std::string path;  // below the home
  std::optional<std::int64_t> run;
  std::uint64_t bytes = 0;
  std::string why;  // a sentence for people
};

struct GcPlan {
  std::vector<Drop> drops;           // in the order in which they go
  std::vector<std::string> notes;    // what a person might have expected and why it stays
  std::uint64_t bytes_before = 0;    // of the home
  std::uint64_t bytes_dropped = 0;
  bool within_quota = true;          // afterwards
};

// Harmless things first: deleted runs, leftovers, directories of submissions that never were, unused cache, checkpoints beyond what
// a run keeps; then, only while the home is over its quota, the other checkpoints of ended runs: those with a result first,
// which nobody can retry, then the longest ended.
GcPlan plan_gc(const HomeListing& home, const GcRules& rules, core::TimePoint now);

}  // namespace moelab::server
