// Owns what a person can do to a run, one row a verb: the same words in REST, on the command line and on the page. Called by
// run_service inside a write transaction; http and cli list the table.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "db/run_store.h"

namespace moelab::server {

enum class RunVerb { pause, resume, cancel, kill, retry, rerun, archive, unarchive };

struct RunVerbInfo {
  RunVerb verb;
  std::string_view name;
  std::string_view summary;  // what it does, one line for --help
};

const std::vector<RunVerbInfo>& run_verbs();
std::string to_string(RunVerb verb);
// Throws Error(not_found), naming the verbs, for any other word.
RunVerb run_verb_from(const std::string& name);

// Each does it, or says in a sentence why the run's state does not allow it; then nothing has changed. Throws Error(not_found).
std::optional<std::string> apply_verb(db::Connection& connection, db::RunId id, RunVerb verb, core::TimePoint now);
// The two that take an argument.
std::optional<std::string> apply_priority(db::Connection& connection, db::RunId id, int priority);
// `device` is the id of one, or db::kAnyDevice.
std::optional<std::string> apply_force(db::Connection& connection, db::RunId id, const std::string& device, core::TimePoint now);

}  // namespace moelab::server
