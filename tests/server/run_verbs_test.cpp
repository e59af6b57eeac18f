// What a person can do to a run in each state: the whole table.
#include "server/run_verbs.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/db/fixtures.h"

using namespace moelab;
using core::RunState;
using server::RunVerb;
using test::at_s;

namespace {

using enum RunState;

// Puts a fresh run into `state` through the store.
db::RunId run_in(db::RunStore& runs, RunState state) {
  const db::RunId id = runs.insert(test::new_run("a"), at_s(0));
  if (state == queued) return id;
  if (state == paused) {
    runs.pause_queued(id, at_s(1));
    return id;
  }
  if (state == skipped) {
    runs.end_waiting(id, skipped, "", at_s(1));
    return id;
  }
  runs.begin_attempt(id, {"cpu0"}, at_s(1));
  if (state == starting) return id;
  runs.mark_running(id, at_s(2));
  if (state == running) return id;
  if (state == stopping || state == cancelled) runs.request_stop(id, db::StopIntent::shutdown, "", at_s(3));
  if (state == stopping) return id;
  db::AttemptEnd end;
  end.to = state;
  runs.end_attempt(id, end, at_s(4));
  return id;
}

}  // namespace

TEST_CASE("each verb in each state: what it makes of the run, or that it refuses and changes nothing") {
  const std::map<RunVerb, std::map<RunState, RunState>> allowed{
      {RunVerb::pause, {{queued, paused}, {starting, stopping}, {running, stopping}, {stopping, stopping}}},
      {RunVerb::resume, {{paused, queued}}},
      {RunVerb::cancel, {{queued, cancelled}, {paused, cancelled}, {starting, stopping}, {running, stopping}, {stopping, stopping}}},
      {RunVerb::kill, {{queued, cancelled}, {paused, cancelled}, {starting, stopping}, {running, stopping}, {stopping, stopping}}},
      {RunVerb::retry, {{failed, queued}, {cancelled, queued}, {timed_out, queued}, {out_of_memory, queued}, {lost, queued}, {skipped, queued}}},
      {RunVerb::rerun,
       {{completed, queued},
        {failed, queued},
        {cancelled, queued},
        {timed_out, queued},
        {out_of_memory, queued},
        {lost, queued},
        {pruned, queued},
        {skipped, queued}}},
      {RunVerb::archive,
       {{completed, completed},
        {failed, failed},
        {cancelled, cancelled},
        {timed_out, timed_out},
        {out_of_memory, out_of_memory},
        {lost, lost},
        {pruned, pruned},
        {skipped, skipped}}},
  };
  for (const auto& [verb, table] : allowed) {
    for (const RunState state : core::all_run_states()) {
      CAPTURE(server::to_string(verb));
      CAPTURE(core::to_string(state));
      test::TempDatabase t;
      t.database.write([&](db::Connection& c) {
        db::RunStore runs(c);
        const db::RunId id = run_in(runs, state);
        REQUIRE(runs.get(id).state == state);
        const std::optional<std::string> refused = server::apply_verb(c, id, verb, at_s(9));
        const auto row = table.find(state);
        CHECK(refused.has_value() == (row == table.end()));
        CHECK(core::to_string(runs.get(id).state) == core::to_string(row == table.end() ? state : row->second));
        if (refused) CHECK(refused->find("run " + std::to_string(id) + " (a) is ") == 0);
        if (!refused && verb == RunVerb::rerun) CHECK(runs.get(id).fresh);
      });
    }
  }
}

TEST_CASE("a word that is no verb names the verbs and the nearest one") {
  std::string message;
  CHECK(test::kind_of_error([] { server::run_verb_from("cancle"); }, &message) == core::ErrorKind::not_found);
  CHECK(message.find("did you mean 'cancel'?") != std::string::npos);
  CHECK(message.find("pause, resume, cancel, kill, retry, rerun") != std::string::npos);
}
