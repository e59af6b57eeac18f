#include "core/run_state.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace moelab::core {
namespace {

using enum RunState;

struct Row {
  RunState state;
  std::string_view name;
  std::vector<RunState> next;
};

// The one table, in the order of the enumerators. A way back to `queued` is a restart after a crash or preemption for a live state, a
// retry for a terminal one, `resume` for a paused one.
const std::array<Row, 13>& table() {
  static const std::array<Row, 13> rows{{
      {queued, "queued", {starting, paused, cancelled, skipped}},
      {starting, "starting", {running, stopping, queued, completed, failed, timed_out, out_of_memory, pruned}},
      {running, "running", {stopping, queued, completed, failed, timed_out, out_of_memory, lost, pruned}},
      {stopping, "stopping", {queued, paused, completed, failed, cancelled, timed_out, out_of_memory, pruned}},
      {completed, "completed", {queued}},
      {failed, "failed", {queued}},
      {cancelled, "cancelled", {queued}},
      {timed_out, "timed_out", {queued}},
      {out_of_memory, "out_of_memory", {queued}},
      {lost, "lost", {queued}},
      {pruned, "pruned", {queued}},
      {skipped, "skipped", {queued}},
      {paused, "paused", {queued, cancelled}},
  }};
  return rows;
}

const Row& row(RunState state) {
  return table()[static_cast<std::size_t>(state)];
}

bool goes_only_to_queued(const Row& r) {
  return r.next.size() == 1 && r.next.front() == queued;
}

// Only a worker can complete a run.
bool may_complete(const Row& r) {
  return std::find(r.next.begin(), r.next.end(), completed) != r.next.end();
}

}  // namespace

const std::vector<RunState>& all_run_states() {
  static const std::vector<RunState> states = [] {
    std::vector<RunState> all;
    for (const Row& r : table()) all.push_back(r.state);
    return all;
  }();
  return states;
}

std::string to_string(RunState state) {
  return std::string(row(state).name);
}

RunState run_state_from(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "canceled") lower = "cancelled";
  std::string known;
  for (const Row& r : table()) {
    if (r.name == lower) return r.state;
    known += (known.empty() ? "" : ", ") + std::string(r.name);
  }
  throw Error(ErrorKind::usage, "'" + name + "' is not a run state; the states are " + known);
}

const std::vector<RunState>& next_states(RunState state) {
  return row(state).next;
}

bool is_legal(RunState from, RunState to) {
  const std::vector<RunState>& next = row(from).next;
  return std::find(next.begin(), next.end(), to) != next.end();
}

bool is_terminal(RunState state) {
  return goes_only_to_queued(row(state));
}

bool is_live(RunState state) {
  return may_complete(row(state));
}

const std::vector<RunState>& live_run_states() {
  static const std::vector<RunState> states = [] {
    std::vector<RunState> live;
    std::copy_if(all_run_states().begin(), all_run_states().end(), std::back_inserter(live), is_live);
    return live;
  }();
  return states;
}

}  // namespace moelab::core
