// The life of a run in the database: transitions, leases, stops, attempts.
#include "db/run_store.h"

#include <doctest/doctest.h>

#include "tests/db/fixtures.h"

using namespace moelab;
using core::RunState;
using test::at_s;

namespace {

template <class Work>
auto with_store(test::TempDatabase& t, Work&& work) {
  return t.database.write([&](db::Connection& c) {
    db::RunStore store(c);
    return work(store);
  });
}

}  // namespace

TEST_CASE("a run goes from queued to completed and its history says so") {
  test::TempDatabase t;
  with_store(t, [](db::RunStore& s) {
    const db::RunId id = s.insert(test::new_run("a"), at_s(0));
    CHECK(s.find_by_key("key-a") == id);
    CHECK(s.begin_attempt(id, {"cpu0"}, at_s(1)) == 1);
    s.set_process(id, {42, 777, "boot"});
    s.mark_running(id, at_s(2));
    db::RunRow run = s.get(id);
    CHECK(run.state == RunState::running);
    CHECK(run.device == "cpu0");
    CHECK(run.process == db::ProcessIdentity{42, 777, "boot"});
    s.end_attempt(id, {RunState::completed, "", 0, std::nullopt, false, std::nullopt}, at_s(11));
    run = s.get(id);
    CHECK(run.state == RunState::completed);
    CHECK(run.device.empty());
    CHECK_FALSE(run.process);
    CHECK(run.runtime_ms == 10'000);
    CHECK(run.started_at == at_s(1));
    CHECK(run.finished_at == at_s(11));
    std::string path;
    for (const db::RunEventRow& e : s.events(id)) path += e.from + ">" + e.to + " ";
    CHECK(path == ">queued queued>starting starting>running running>completed ");
  });
}

TEST_CASE("every illegal transition is refused and changes nothing") {
  for (const RunState from : core::all_run_states()) {
    for (const RunState to : core::all_run_states()) {
      if (!core::is_live(from) || core::is_legal(from, to)) continue;
      CAPTURE(core::to_string(from));
      CAPTURE(core::to_string(to));
      test::TempDatabase t;
      const db::RunId id = with_store(t, [&](db::RunStore& s) {
        const db::RunId run = s.insert(test::new_run("a"), at_s(0));
        s.restore(run, {from, "test", 1, {}, {}, 0}, at_s(0));
        return run;
      });
      CHECK(
          test::kind_of_error([&] {
            with_store(t, [&](db::RunStore& s) { s.end_attempt(id, {to, "", std::nullopt, std::nullopt, false, std::nullopt}, at_s(1)); });
          }) == core::ErrorKind::conflict);
      with_store(t, [&](db::RunStore& s) { CHECK(s.get(id).state == from); });
    }
  }
}

TEST_CASE("the schema refuses a second lease of a device") {
  test::TempDatabase t;
  with_store(t, [](db::RunStore& s) {
    s.begin_attempt(s.insert(test::new_run("a"), at_s(0)), {"gpu0"}, at_s(1));
    s.insert(test::new_run("b"), at_s(0));
  });
  CHECK(test::kind_of_error([&] { with_store(t, [](db::RunStore& s) { s.begin_attempt(2, {"gpu0"}, at_s(1)); }); }) ==
        core::ErrorKind::storage);
  with_store(t, [](db::RunStore& s) {
    CHECK(s.get(2).state == RunState::queued);
    s.end_attempt(1, {RunState::failed, "", 1, std::nullopt, false, std::nullopt}, at_s(2));
    CHECK(s.begin_attempt(2, {"gpu0"}, at_s(3)) == 1);
  });
}

TEST_CASE("a higher stop intent replaces a lower one, never the other way") {
  test::TempDatabase t;
  with_store(t, [](db::RunStore& s) {
    const db::RunId id = s.insert(test::new_run("a"), at_s(0));
    s.begin_attempt(id, {"cpu0"}, at_s(1));
    s.request_stop(id, db::StopIntent::timeout, "", at_s(2));
    s.request_stop(id, db::StopIntent::shutdown, "", at_s(3));
    CHECK(s.get(id).stop_intent == db::StopIntent::timeout);
    s.request_stop(id, db::StopIntent::cancel, "", at_s(4));
    CHECK(s.get(id).stop_intent == db::StopIntent::cancel);
    CHECK(s.events(id).size() == 3);  // submitted, starting, stopping once
    s.mark_running(id, at_s(5));      // a late `started` does not undo the stop
    CHECK(s.get(id).state == RunState::stopping);
  });
}

TEST_CASE("going back to the queue keeps the attempt number and counts restarts") {
  test::TempDatabase t;
  with_store(t, [](db::RunStore& s) {
    const db::RunId id = s.insert(test::new_run("a"), at_s(0));
    s.begin_attempt(id, {"cpu0"}, at_s(0));
    s.set_step(id, 7, at_s(5));
    s.end_attempt(id, {RunState::queued, "crashed", std::nullopt, 9, true, at_s(20)}, at_s(10));
    db::RunRow run = s.get(id);
    CHECK(run.restarts == 1);
    CHECK(run.signal == 9);
    CHECK(run.not_before == at_s(20));
    CHECK(run.step == 7);
    CHECK_FALSE(run.finished_at);
    CHECK(s.begin_attempt(id, {"cpu0"}, at_s(20)) == 2);
    run = s.get(id);
    CHECK_FALSE(run.signal);
    CHECK_FALSE(run.pace_step);
    s.end_attempt(id, {RunState::failed, "crashed", std::nullopt, 9, false, std::nullopt}, at_s(25));
    CHECK(s.get(id).runtime_ms == 15'000);
    s.requeue(id, false, "retried", at_s(30));
    run = s.get(id);
    CHECK(run.state == RunState::queued);
    CHECK(run.restarts == 0);
    CHECK(run.attempt == 2);
    CHECK_FALSE(run.fresh);
    CHECK(test::kind_of_error([&] { s.requeue(id, true, "", at_s(31)); }) == core::ErrorKind::conflict);
  });
}

TEST_CASE("the last word of an attempt is kept per attempt") {
  test::TempDatabase t;
  with_store(t, [](db::RunStore& s) {
    const db::RunId id = s.insert(test::new_run("a"), at_s(0));
    s.begin_attempt(id, {"cpu0"}, at_s(0));
    CHECK_FALSE(s.final_word(id, 1));
    s.set_attempt_started(id, 1, {{"host", "h"}}, 250, 11, 5, 0);
    s.set_final_word(id, 1, {"failed", "data", "no such file"});
    CHECK(s.final_word(id, 1)->message == "no such file");
    CHECK_FALSE(s.final_word(id, 2));
    CHECK(s.provenance(id, 1).at("host") == "h");
    CHECK(s.provenance(id, 2).empty());
    CHECK(s.get(id).max_steps == 250);
    CHECK(s.get(id).total_parameters == 11);
  });
}
