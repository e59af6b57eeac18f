// Owns the listing of runs: filter, sort, page. Called by server/run_service.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/experiment_store.h"
#include "db/run_store.h"

namespace moelab::db {

struct RunFilter {
  std::vector<core::RunState> states;      // empty = all
  std::optional<ExperimentId> experiment;  // then a run appears once per name it has there
  std::string tag;                         // exact
  std::string search;                      // substring of a name of the run or of an experiment that lists it; case-insensitive (ASCII)
  std::string sort;                        // "" = newest first (file order within an experiment); a field or metrics.NAME; "-" = descending
  std::int64_t limit = 100;
  std::int64_t offset = 0;
  bool archived = false;                   // archived ones too
};

struct ListedRun {
  RunRow run;
  std::optional<MemberRow> member;  // the listing it appears under; without an experiment filter the oldest one
};

struct RunList {
  std::vector<ListedRun> runs;
  std::int64_t total = 0;
};

// Throws Error(usage) for an unknown sort field, naming the known ones. Absent values sort last either way.
RunList list_runs(Connection& connection, const RunFilter& filter);

}  // namespace moelab::db
