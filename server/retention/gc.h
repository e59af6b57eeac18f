// Owns freeing space: makes the listing, plans (retention.h) and carries the plan out. Called by retention_service, for `moelab gc` and,
// under a quota, once an hour.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "db/database.h"
#include "server/paths.h"
#include "server/retention/retention.h"

namespace moelab::server {

struct GcReport {
  GcPlan plan;
  bool dry_run = false;
  std::uint64_t freed_bytes = 0;                             // 0 in a dry run
  std::vector<std::pair<std::string, std::string>> failed;  // path of the plan, and why it stayed
};

// Whatever has changed since the plan was made stays: a run that was retried, an entry of the cache that is in use again. Each
// thing goes in one step (trash.h), so a crash leaves it whole or gone. One call at a time. Throws Error(storage) when the home cannot be
// read or written at all.
GcReport collect_garbage(db::Database& database, const HomePaths& paths, const GcRules& rules, bool dry_run, core::TimePoint now);

}  // namespace moelab::server
