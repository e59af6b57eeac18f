// Owns the states of a run and the one table of legal transitions. "Terminal" and "live" are derived from it.
#pragma once

#include <string>
#include <vector>

namespace moelab::core {

enum class RunState {
  queued,    // waits for a device
  starting,  // a worker was launched and has not journalled `started` yet
  running,
  stopping,  // asked to leave (SIGTERM sent), still alive
  completed,
  failed,
  cancelled,
  timed_out,
  out_of_memory,
  lost,     // the process is proven gone and left no final word, restarts used up
  pruned,   // ended before its last step by its own early_stop rule: a result, not a failure
  skipped,  // never started: the run it was to start from did not complete
};

const std::vector<RunState>& all_run_states();
std::string to_string(RunState state);
// Case-insensitive; accepts "canceled". Throws Error(usage) naming the states otherwise.
RunState run_state_from(const std::string& name);
bool is_legal(RunState from, RunState to);
// No worker will write for this run again unless somebody retries it.
bool is_terminal(RunState state);
// A worker process exists or may exist: starting, running, stopping.
bool is_live(RunState state);

}  // namespace moelab::core
