#include "server/progress_watch.h"

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

}  // namespace moelab::server
