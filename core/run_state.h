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
  skipped,  // never started: a run it depends on did not complete
  paused,   // a person has stopped it for a while: checkpointed, no worker, no device; goes on when resumed
};

const std::vector<RunState>& all_run_states();
std::string to_string(RunState state);
// Case-insensitive; accepts "canceled". Throws Error(usage) naming the states otherwise.
RunState run_state_from(const std::string& name);
bool is_legal(RunState from, RunState to);
const std::vector<RunState>& next_states(RunState state);
// No worker will write for this run again unless somebody retries it.
bool is_terminal(RunState state);
// A worker process exists or may exist: starting, running, stopping.
bool is_live(RunState state);
const std::vector<RunState>& live_run_states();

}  // namespace moelab::core
