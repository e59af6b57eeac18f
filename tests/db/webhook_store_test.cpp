// Notices, alerts, webhooks and their deliveries as the database keeps them.
#include "db/webhook_store.h"

#include <doctest/doctest.h>

#include "db/alert_store.h"
#include "db/notice_store.h"
#include "tests/db/fixtures.h"

using namespace moelab;
using namespace moelab::test;
using core::RunState;
using namespace std::chrono_literals;

namespace {

std::vector<db::NoticeRow> notices(db::Database& database) {
  return database.read([](db::Connection& c) { return db::NoticeStore(c).oldest(100); });
}

db::WebhookRow hook(const std::string& url) {
  db::WebhookRow row;
  row.url = url;
  row.secret = "s";
  row.events = {"failed", "alert"};
  row.created_at = at_s(1);
  return row;
}

db::DeliveryRow delivery(db::WebhookId webhook, const std::string& event, std::optional<core::TimePoint> next) {
  db::DeliveryRow row;
  row.webhook = webhook;
  row.event_id = event;
  row.type = "run_state";
  row.payload = "{}";
  row.created_at = at_s(0);
  row.next_attempt = next;
  if (!next) row.result = "delivered";
  return row;
}

}  // namespace

TEST_CASE("every change of a run's state is a notice, with the attempt and the device it belongs to") {
  TempDatabase t;
  t.database.write([](db::Connection& c) {
    db::RunStore runs(c);
    const db::RunId id = runs.insert(new_run("a"), at_s(0));
    db::ExperimentStore experiments(c);
    db::ExperimentRow experiment;
    experiment.matrix = "m";
    experiment.name = "e";
    db::MemberRow member;
    member.experiment_id = experiments.put(experiment);
    member.name = "a";
    member.run_id = id;
    experiments.put_member(member);
    runs.begin_attempt(id, {"cpu1"}, at_s(10));
    runs.mark_running(id, at_s(11));
    runs.set_step(id, 7, at_s(12));
    db::AttemptEnd end;
    end.to = RunState::failed;
    end.reason = "no luck";
    runs.end_attempt(id, end, at_s(20));
  });
  const auto list = notices(t.database);
  REQUIRE(list.size() == 4);
  const auto check = [&](std::size_t i, const char* from, const char* to, int attempt, std::int64_t step, const char* device) {
    CHECK(list[i].type == "run_state");
    CHECK(list[i].name == "a");
    CHECK(list[i].from_state == from);
    CHECK(list[i].state == to);
    CHECK(list[i].attempt == attempt);
    CHECK(list[i].step == step);
    CHECK(list[i].device == device);
  };
  check(0, "", "queued", 0, 0, "");
  check(1, "queued", "starting", 1, 0, "cpu1");
  check(2, "starting", "running", 1, 0, "cpu1");
  check(3, "running", "failed", 1, 7, "cpu1");
  CHECK(list[3].time == at_s(20));
  CHECK(list[3].reason == "no luck");
  CHECK(list[0].experiments.empty());  // listed only afterwards
  CHECK(list[3].experiments == std::vector<std::string>{"e"});
}

TEST_CASE("a change that is rolled back is no notice") {
  TempDatabase t;
  CHECK_THROWS_AS(t.database.write([](db::Connection& c) {
    db::RunStore(c).insert(new_run("a"), at_s(0));
    throw core::Error(core::ErrorKind::internal, "no");
  }),
                  core::Error);
  CHECK(notices(t.database).empty());
}

TEST_CASE("ids of notices never come back, whatever is deleted, and a deleted run takes no news with it") {
  TempDatabase t;
  const auto insert = [&](const std::string& name) {
    return t.database.write([&](db::Connection& c) { return db::RunStore(c).insert(new_run(name), at_s(0)); });
  };
  insert("a");
  const db::RunId second = insert("b");
  const auto before = notices(t.database);
  t.database.write([&](db::Connection& c) { c.exec("DELETE FROM runs WHERE id = " + std::to_string(second)); });
  CHECK(notices(t.database).size() == 2);
  t.database.write([&](db::Connection& c) { db::NoticeStore(c).drop_up_to(before.back().id); });
  CHECK(notices(t.database).empty());
  insert("c");
  REQUIRE(notices(t.database).size() == 1);
  CHECK(notices(t.database).front().id > before.back().id);
  CHECK(t.database.read([](db::Connection& c) { return db::NoticeStore(c).last_id(); }) == notices(t.database).front().id);
}

TEST_CASE("two databases have streams of different names") {
  TempDatabase one, two;
  const auto stream = [](db::Database& database) { return database.read([](db::Connection& c) { return db::NoticeStore(c).stream(); }); };
  CHECK(stream(one.database).size() == 16);
  CHECK(stream(one.database) == stream(one.database));
  CHECK(stream(one.database) != stream(two.database));
}

TEST_CASE("an alert is kept once, in the order of its journal, and is a notice once") {
  TempDatabase t;
  t.database.write([](db::Connection& c) {
    const db::RunId id = db::RunStore(c).insert(new_run("a"), at_s(0));
    db::AlertStore alerts(c);
    alerts.put(id, {1, 9, 40, at_s(5), "loss_spike", "first"});
    alerts.put(id, {1, 9, 40, at_s(5), "loss_spike", "first"});
    alerts.put(id, {2, 3, 20, at_s(6), "collapse", "second"});
    CHECK(alerts.list(id, 10).size() == 2);
    CHECK(alerts.list(id, 10)[0].message == "first");
    CHECK(alerts.list(id, 10)[1].attempt == 2);
    REQUIRE(alerts.list(id, 1).size() == 1);
    CHECK(alerts.list(id, 1)[0].message == "second");
  });
  const auto list = notices(t.database);
  REQUIRE(list.size() == 3);
  CHECK(list[1].type == "alert");
  CHECK(list[1].code == "loss_spike");
  CHECK(list[1].reason == "first");
  CHECK(list[1].state == "queued");
  CHECK(list[2].attempt == 2);
  CHECK(list[2].step == 20);
}

TEST_CASE("the time in the queue counts from the last time a run was queued") {
  TempDatabase t;
  t.database.write([](db::Connection& c) {
    db::RunStore runs(c);
    const db::RunId id = runs.insert(new_run("a"), at_s(0));
    runs.begin_attempt(id, {"cpu0"}, at_s(10));
    db::AttemptEnd end;
    end.to = RunState::queued;
    runs.end_attempt(id, end, at_s(100));
    runs.begin_attempt(id, {"cpu0"}, at_s(103));
    CHECK(db::NoticeStore(c).queue_wait(id, at_s(10)) == 10s);
    CHECK(db::NoticeStore(c).queue_wait(id, at_s(103)) == 3s);
    CHECK_FALSE(db::NoticeStore(c).queue_wait(id + 1, at_s(103)));
  });
}

TEST_CASE("deliveries are due in order of time, or when the clock was set back") {
  TempDatabase t;
  t.database.write([](db::Connection& c) {
    db::WebhookStore store(c);
    const db::WebhookId a = store.add(hook("http://a")), b = store.add(hook("http://b"));
    const std::int64_t late = store.add_delivery(delivery(a, "e1", at_s(20)));
    const std::int64_t early = store.add_delivery(delivery(a, "e2", at_s(10)));
    store.add_delivery(delivery(a, "e0", std::nullopt));
    store.add_delivery(delivery(b, "e1", at_s(5)));
    CHECK_FALSE(store.next_due(a, at_s(9), at_s(609)));
    CHECK(store.next_due(a, at_s(10), at_s(610))->id == early);
    CHECK(store.next_due(a, at_s(30), at_s(630))->id == early);
    CHECK(store.next_due(a, at_s(-1000), at_s(-400))->id == early);
    CHECK(store.all_due(a, at_s(20)).size() == 2);
    CHECK(store.all_due(a, at_s(19)).size() == 1);
    CHECK(store.pending(a) == 2);
    CHECK(store.next_time() == at_s(5));
    store.set_enabled(b, false);
    CHECK(store.next_time() == at_s(10));
    db::DeliveryRow done = *store.next_due(a, at_s(30), at_s(630));
    done.result = "given_up";
    done.attempts = 8;
    done.next_attempt.reset();
    done.status = 500;
    done.error = "no";
    done.last_attempt = at_s(31);
    store.record_attempt(done);
    CHECK(store.next_due(a, at_s(30), at_s(630))->id == late);
    const auto list = store.deliveries(a, 10);
    REQUIRE(list.size() == 3);
    CHECK(list[0].event_id == "e0");
    CHECK(list[1].status == 500);
    CHECK(list[1].error == "no");
    CHECK(list[1].attempts == 8);
    CHECK_FALSE(list[1].next_attempt);
  });
}

TEST_CASE("old deliveries are dropped once they are done, and all of a webhook that is removed") {
  TempDatabase t;
  t.database.write([](db::Connection& c) {
    db::WebhookStore store(c);
    const db::WebhookId a = store.add(hook("http://a")), b = store.add(hook("http://b"));
    store.add_delivery(delivery(a, "waits", at_s(1)));
    for (int i = 0; i < 5; ++i) store.add_delivery(delivery(a, "d" + std::to_string(i), std::nullopt));
    store.add_delivery(delivery(b, "other", std::nullopt));
    store.trim(a, 2);
    const auto list = store.deliveries(a, 10);
    REQUIRE(list.size() == 3);
    CHECK(list[0].event_id == "d4");
    CHECK(list[1].event_id == "d3");
    CHECK(list[2].event_id == "waits");
    store.trim(a, 2);
    CHECK(store.deliveries(a, 10).size() == 3);
    store.remove(a);
    CHECK(store.deliveries(a, 10).empty());
    CHECK(store.deliveries(b, 10).size() == 1);
    CHECK_FALSE(store.find(a));
    CHECK(store.add(hook("http://c")) > b);
  });
}

TEST_CASE("a database that was there before webhooks keeps its runs and tells nothing of their past") {
  TempDir dir;
  auto migrations = db::embedded_migrations();
  const auto ours =
      std::find_if(migrations.begin(), migrations.end(), [](const auto& m) { return std::string(m.name).ends_with("_webhooks"); });
  REQUIRE(ours != migrations.end());
  {
    db::Database old(dir.path() / "old.db", std::vector<db::Migration>(migrations.begin(), ours));
    old.write([](db::Connection& c) { db::RunStore(c).insert(new_run("a"), at_s(0)); });
  }
  db::Database database(dir.path() / "old.db");
  CHECK(notices(database).empty());
  database.write([](db::Connection& c) { db::RunStore(c).end_waiting(1, RunState::cancelled, "no more", at_s(1)); });
  REQUIRE(notices(database).size() == 1);
  CHECK(notices(database)[0].state == "cancelled");
}

TEST_CASE("the database is its owner's alone, for it holds the secrets of webhooks") {
  TempDatabase t;
  t.database.write([](db::Connection& c) { db::RunStore(c).insert(new_run("a"), at_s(0)); });
  for (const auto& entry : std::filesystem::directory_iterator(t.dir.path())) {
    const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
    CHECK_MESSAGE((entry.status().permissions() & others) == std::filesystem::perms::none, entry.path().string());
  }
}
