#include <doctest/doctest.h>

#include <map>
#include <set>

#include "core/error.h"
#include "core/run_state.h"

using namespace moelab::core;
using enum RunState;

TEST_CASE("the table of transitions, whole") {
  const std::map<RunState, std::set<RunState>> legal{
      {queued, {starting, paused, cancelled, skipped}},
      {starting, {running, stopping, queued, completed, failed, timed_out, out_of_memory, pruned}},
      {running, {stopping, queued, completed, failed, timed_out, out_of_memory, lost, pruned}},
      {stopping, {queued, paused, completed, failed, cancelled, timed_out, out_of_memory, pruned}},
      {completed, {queued}},
      {failed, {queued}},
      {cancelled, {queued}},
      {timed_out, {queued}},
      {out_of_memory, {queued}},
      {lost, {queued}},
      {pruned, {queued}},
      {skipped, {queued}},
      {paused, {queued, cancelled}},
  };
  REQUIRE(all_run_states().size() == legal.size());
  for (const RunState from : all_run_states()) {
    for (const RunState to : all_run_states()) {
      INFO(to_string(from), " -> ", to_string(to));
      CHECK(is_legal(from, to) == legal.at(from).contains(to));
    }
  }
}

TEST_CASE("every state is waiting, live or terminal") {
  const std::set<RunState> live{starting, running, stopping};
  for (const RunState state : all_run_states()) {
    INFO(to_string(state));
    CHECK(is_live(state) == live.contains(state));
    CHECK(is_terminal(state) == (state != queued && state != paused && !live.contains(state)));
  }
}

TEST_CASE("names read back in any case") {
  for (const RunState state : all_run_states()) CHECK(run_state_from(to_string(state)) == state);
  CHECK(run_state_from("Canceled") == cancelled);
  CHECK(run_state_from("RUNNING") == running);
  CHECK_THROWS_WITH_AS(
      run_state_from("done"),
      "'done' is not a run state; the states are queued, starting, running, stopping, completed, failed, cancelled, timed_out, "
      "out_of_memory, lost, pruned, skipped, paused",
      Error);
}
