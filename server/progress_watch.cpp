#include "server/progress_watch.h"

#include <algorithm>
#include <system_error>

namespace moelab::server {

std::chrono::nanoseconds ProgressWatch::idle(std::int64_t run_id, int attempt, std::chrono::nanoseconds steady_now) {
  std::error_code missing;
  Signs signs;
  signs.journal_bytes = std::filesystem::file_size(paths_.journal(run_id), missing);
  signs.heartbeat = std::filesystem::last_write_time(paths_.heartbeat(run_id), missing);
  const auto [entry, is_new] = seen_.try_emplace(run_id, Seen{attempt, signs, steady_now});
  Seen& seen = entry->second;
  if (seen.attempt != attempt || seen.signs != signs) seen = {attempt, signs, steady_now};
  return steady_now - seen.since;
}

core::TimePoint last_sign_of_life(const HomePaths& paths, const db::RunRow& run, core::TimePoint now) {
  const core::TimePoint begin = std::min(run.attempt_started_at.value_or(now), now);
  std::error_code missing;
  const auto beat = std::filesystem::last_write_time(paths.heartbeat(run.id), missing);
  core::TimePoint last = run.step_time.value_or(begin);
  if (!missing) last = std::max(last, std::chrono::time_point_cast<core::TimePoint::duration>(std::chrono::file_clock::to_sys(beat)));
  return std::clamp(last, begin, now);
}

}  // namespace moelab::server
