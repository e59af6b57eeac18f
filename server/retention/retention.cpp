#include "server/retention/retention.h"

#include <algorithm>
#include <utility>

#include "server/retention/disk_guard.h"

namespace moelab::server {
namespace {

using core::RunState;

bool has_result(RunState state) {
  return state == RunState::completed || state == RunState::pruned;
}

class Planner {
 public:
  Planner(const HomeListing& home, const GcRules& rules, core::TimePoint now) : home_(home), rules_(rules), now_(now) {
    plan_.bytes_before = home.bytes;
  }

  GcPlan plan() {
    for (const HeldFile& file : home_.trash) drop(DropKind::trash, file, std::nullopt, "belongs to a run that was deleted");
    for (const HeldRun& run : home_.runs) leftovers(run);
    for (const HeldRun& run : home_.runs) orphan(run);
    for (const HeldFile& entry : home_.cache) unused(entry);
    for (const HeldRun& run : home_.runs) surplus(run);
    if (rules_.quota_bytes) shrink();
    plan_.within_quota = !rules_.quota_bytes || held() <= *rules_.quota_bytes;
    if (!plan_.within_quota) {
      plan_.notes.push_back("the home still holds " + size_text(held()) + " of a quota of " + size_text(*rules_.quota_bytes) +
                            ": nothing else may go by itself; delete runs, or raise the quota");
    }
    return std::move(plan_);
  }

 private:
  std::uint64_t held() const { return plan_.bytes_before - std::min(plan_.bytes_before, plan_.bytes_dropped); }

  void drop(DropKind kind, const HeldFile& file, std::optional<std::int64_t> run, const std::string& why) {
    plan_.drops.push_back({kind, file.path, run, file.bytes, why});
    plan_.bytes_dropped += file.bytes;
  }

  void leftovers(const HeldRun& run) {
    if (!run.known) return;
    const bool live = run.worker_lives || core::is_live(run.state);
    for (const HeldFile& file : run.half_written) {
      // The one who writes now began after its attempt did.
      if (live && !(run.attempt_started_at && file.changed < *run.attempt_started_at)) continue;
      drop(DropKind::half_written, file, run.id, "was left half-written by an attempt that is over");
    }
    if (live) return;
    for (const HeldFile& file : run.damaged) {
      drop(DropKind::damaged, file, run.id, "is damaged and was set aside by a worker that went on from an older checkpoint");
    }
  }

  void orphan(const HeldRun& run) {
    if (run.known) return;
    if (run.worker_lives) {
      plan_.notes.push_back(run.path + " is of no known run, but a worker trains in it: it stays");
    } else if (run.has_journal) {
      plan_.notes.push_back(run.path +
                            " is of no known run but has a journal: it stays. `moelab db rebuild` may bring it back; else delete it by hand");
    } else {
      drop(DropKind::orphan, {run.path, run.bytes, now_}, std::nullopt, "was made for a submission that never came about");
    }
  }

  // A run that has not ended may use what was used since the first of them began.
  void unused(const HeldFile& entry) {
    if (entry.changed + rules_.older_than > now_) return;
    for (const HeldRun& run : home_.runs) {
      if (run.known && !core::is_terminal(run.state) && run.started_at && entry.changed >= *run.started_at) return;
    }
    const auto days = std::chrono::duration_cast<std::chrono::hours>(now_ - entry.changed).count() / 24;
    drop(DropKind::cache, entry, std::nullopt,
         "no run has used it for " + std::to_string(days) + " days; it is built again when one needs it");
  }

  static bool may_shrink(const HeldRun& run) { return run.known && core::is_terminal(run.state) && !run.worker_lives; }

  static const HeldCheckpoint* best_of(const HeldRun& run) {
    const auto best = std::find_if(run.checkpoints.begin(), run.checkpoints.end(), [](const HeldCheckpoint& c) { return c.best; });
    return best == run.checkpoints.end() ? nullptr : &*best;
  }

  // What another run may start from: the one it names; where it names the run, the newest and the best.
  static bool is_needed(const HeldRun& run, const HeldCheckpoint& checkpoint) {
    return checkpoint.needed || (run.needed && (&checkpoint == &run.checkpoints.back() || &checkpoint == best_of(run)));
  }

  bool is_surplus(const HeldRun& run, const HeldCheckpoint& checkpoint) const {
    const auto newer = &run.checkpoints.back() - &checkpoint;
    const std::int64_t keep = rules_.keep_checkpoints.value_or(run.keep_last);
    return newer >= keep && !(run.keep_best && &checkpoint == best_of(run)) && !is_needed(run, checkpoint);
  }

  void surplus(const HeldRun& run) {
    if (!may_shrink(run)) return;
    const std::int64_t keep = rules_.keep_checkpoints.value_or(run.keep_last);
    for (const HeldCheckpoint& checkpoint : run.checkpoints) {
      if (!is_surplus(run, checkpoint)) continue;
      drop(DropKind::surplus_checkpoint, checkpoint.file, run.id,
           "the run has ended and keeps its newest " + std::to_string(keep) + (run.keep_best ? " and its best" : ""));
    }
  }

  void shrink() {
    std::vector<const HeldRun*> ended;
    for (const HeldRun& run : home_.runs) {
      if (may_shrink(run)) ended.push_back(&run);
    }
    const auto order = [](const HeldRun* run) {
      return std::tuple(!has_result(run->state), run->finished_at.value_or(core::TimePoint::min()), run->id);
    };
    std::sort(ended.begin(), ended.end(), [&](const HeldRun* a, const HeldRun* b) { return order(a) < order(b); });
    for (const HeldRun* run : ended) {
      for (const HeldCheckpoint& checkpoint : run->checkpoints) {
        if (held() <= *rules_.quota_bytes) return;
        if (is_surplus(*run, checkpoint) || is_needed(*run, checkpoint)) continue;  // dropped already, or not to be dropped
        drop(DropKind::checkpoint_over_quota, checkpoint.file, run->id,
             "the home is over its quota of " + size_text(*rules_.quota_bytes) +
                 (has_result(run->state) ? "" : "; a retry of this run will start from step 0, or an older checkpoint"));
      }
    }
  }

  const HomeListing& home_;
  const GcRules& rules_;
  core::TimePoint now_;
  GcPlan plan_;
};

}  // namespace

std::string to_string(DropKind kind) {
  switch (kind) {
    case DropKind::trash:
      return "deleted";
    case DropKind::half_written:
      return "half_written";
    case DropKind::damaged:
      return "damaged";
    case DropKind::orphan:
      return "orphan";
    case DropKind::cache:
      return "cache";
    case DropKind::surplus_checkpoint:
      return "surplus_checkpoint";
    case DropKind::checkpoint_over_quota:
      break;
  }
  return "over_quota";
}

GcPlan plan_gc(const HomeListing& home, const GcRules& rules, core::TimePoint now) {
  return Planner(home, rules, now).plan();
}

}  // namespace moelab::server
