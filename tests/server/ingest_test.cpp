// From the journal into the database: once, whole lines only, rewound tails superseded.
#include "server/ingest.h"

#include <doctest/doctest.h>

#include <cmath>

#include "db/file_store.h"
#include "db/load_store.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using core::EventType;
using core::RunState;

namespace {

struct Journalled : test::EngineHome {
  std::int64_t id = add_run("a");
  Journalled() {
    database.write([&](db::Connection& c) { db::RunStore(c).begin_attempt(id, {"cpu0"}, clock.now()); });
  }
  test::JournalWriter writer(int attempt) { return {paths.journal(id), attempt}; }
  std::string losses() {
    std::string text;
    for (const db::MetricPoint& p : points(id, "train/loss"))
      text += std::to_string(p.step) + ":" + std::to_string(static_cast<int>(p.value)) + " ";
    return text;
  }
};

}  // namespace

TEST_CASE("a journal arrives with all its kinds of events") {
  Journalled t;
  auto w = t.writer(1);
  w.started(0, 50);
  t.ingest.drain(t.id);
  CHECK(t.run(t.id).state == RunState::running);
  w.write(EventType::progress, 0, {{"phase", "tokenize"}, {"done", 5}, {"total", 10}});
  t.ingest.drain(t.id);
  CHECK(t.run(t.id).phase == "tokenize");
  w.loss(1, 7);
  w.write(EventType::eval, 1, {{"values", {{"eval/loss", "NaN"}}}});
  w.write(EventType::expert_load, 1, {{"layers", {0}}, {"slots", 1}, {"experts", 2}, {"counts", {3, 4}}});
  w.write(EventType::checkpoint, 1, {{"path", "checkpoints/step_00000001"}, {"best", true}});
  w.write(EventType::artifact, 1, {{"name", "plot"}, {"path", "artifacts/plot.png"}, {"kind", "image"}});
  w.write(EventType::log, 1, {{"level", "info"}, {"message", "hello"}});
  w.finished(2, "completed");
  t.ingest.drain(t.id);
  const db::RunRow run = t.run(t.id);
  CHECK(run.max_steps == 50);
  CHECK(run.step == 1);
  CHECK(run.phase.empty());
  CHECK(run.state == RunState::running);  // the process is still there: only the dispatcher ends a run
  t.database.read([&](db::Connection& c) {
    CHECK(std::isnan(db::MetricStore(c).latest(t.id).at("eval/loss")));
    CHECK(db::LoadStore(c).frame(t.id, 1)->counts == std::vector<std::int64_t>{3, 4});
    CHECK(db::FileStore(c).checkpoints(t.id)[0].best);
    CHECK(db::FileStore(c).artifacts(t.id)[0].kind == "image");
    CHECK(db::RunStore(c).final_word(t.id, 1)->status == "completed");
  });
}

TEST_CASE("reading a journal twice changes nothing") {
  Journalled t;
  auto w = t.writer(1);
  w.started(0);
  for (int step = 1; step <= 5; ++step) w.loss(step, 10 * step);
  t.ingest.drain(t.id);
  const std::string once = t.losses();
  CHECK(once == "1:10 2:20 3:30 4:40 5:50 ");
  // The position is lost but not the rows, as after restoring a backup of half the tables.
  t.database.write([&](db::Connection& c) { db::JournalStore(c).set_position(t.id, {}); });
  server::Ingest again(t.database, t.paths, t.clock, t.bus);
  again.drain(t.id);
  CHECK(t.losses() == once);
  // The bytes are read again but the events are known.
  t.database.write([&](db::Connection& c) {
    db::JournalPosition p = db::JournalStore(c).position(t.id);
    p.byte_offset = 0;
    db::JournalStore(c).set_position(t.id, p);
    db::MetricStore(c).put(t.id, 1, 3, {{"train/loss", -1}});
  });
  server::Ingest third(t.database, t.paths, t.clock, t.bus);
  third.drain(t.id);
  CHECK(t.losses() == "1:10 2:20 3:-1 4:40 5:50 ");
}

TEST_CASE("a torn last line waits for its rest") {
  Journalled t;
  auto w = t.writer(1);
  w.started(0);
  w.loss(1, 10);
  const std::string whole = test::read_text(t.paths.journal(t.id));
  w.loss(2, 20);
  const std::string more = test::read_text(t.paths.journal(t.id));
  for (std::size_t cut = whole.size(); cut <= more.size(); ++cut) {
    test::write_text(t.paths.journal(t.id), more.substr(0, cut));
    t.ingest.drain(t.id);
    CAPTURE(cut);
    CHECK(t.losses() == (cut == more.size() ? "1:10 2:20 " : "1:10 "));
  }
}

TEST_CASE("a corrupt line costs only itself") {
  Journalled t;
  auto w = t.writer(1);
  w.started(0);
  w.loss(1, 10);
  test::write_text(t.paths.journal(t.id), "{\"v\":1,\"seq\":3,\"att\n\n\xff\xfe garbage\n{\"v\":1}\n", std::ios::app);
  w.write(EventType::metrics, 2, {{"no_values", 1}});
  w.write(EventType::expert_load, 2, {{"layers", {0}}, {"slots", 2}, {"experts", 2}, {"counts", {1}}});
  w.loss(3, 30);
  t.ingest.drain(t.id);
  CHECK(t.losses() == "1:10 3:30 ");
}

TEST_CASE("a resumed attempt supersedes the rewound tail and nothing else; a stale writer is not heard") {
  Journalled t;
  auto first = t.writer(1);
  first.started(0);
  for (int step = 1; step <= 6; ++step) first.loss(step, step);
  first.write(EventType::expert_load, 6, {{"layers", {0}}, {"slots", 1}, {"experts", 1}, {"counts", {6}}});
  t.ingest.drain(t.id);
  auto second = t.writer(2);
  second.started(4);
  t.ingest.drain(t.id);
  CHECK(t.losses() == "1:1 2:2 3:3 4:4 ");
  CHECK(t.run(t.id).step == 4);
  t.database.read([&](db::Connection& c) { CHECK(db::LoadStore(c).steps(t.id, 0).empty()); });
  second.loss(5, 500);
  second.loss(6, 600);
  first.loss(6, 6);
  t.ingest.drain(t.id);
  CHECK(t.losses() == "1:1 2:2 3:3 4:4 5:500 6:600 ");
  auto third = t.writer(3);
  third.started(0);
  third.loss(1, 7);
  t.ingest.drain(t.id);
  CHECK(t.losses() == "1:7 ");
}

TEST_CASE("a run stopped between two evaluations gets no point at the step it was stopped at") {
  Journalled t;
  auto w = t.writer(1);
  w.started(0);
  w.write(EventType::eval, 20, {{"values", {{"eval/loss", 2.0}}}});
  w.loss(24, 240);
  w.write(EventType::finished, 24, {{"status", "preempted"}, {"values", {{"eval/loss", 2.0}, {"train/loss", 240.0}}}});
  t.ingest.drain(t.id);
  CHECK(t.points(t.id, "eval/loss").size() == 1);
  CHECK(t.losses() == "24:240 ");
}

TEST_CASE("changes are told to subscribers, once until they ask") {
  Journalled t;
  t.database.write([&](db::Connection& c) {
    db::ExperimentStore experiments(c);
    const auto experiment = experiments.put({0, "m", "e", "", "", "", {}, "", 0, t.clock.now()});
    experiments.put_member({experiment, "", "a", t.id, "", "", "", {}, nlohmann::json::array()});
  });
  const auto subscription = t.bus.subscribe();
  auto w = t.writer(1);
  w.started(0);
  t.ingest.drain_live();
  w.loss(1, 1);
  t.ingest.drain_live();
  t.ingest.drain_live();
  const server::Changes changes = subscription->wait(std::chrono::milliseconds(0));
  CHECK(changes.runs == std::vector<std::int64_t>{t.id});
  CHECK(changes.experiments == std::vector<std::int64_t>{1});
  CHECK(subscription->wait(std::chrono::milliseconds(0)).empty());
}
