// Opening, refusing, migrating, transactions, snapshots.
#include "db/database.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>

#include <thread>

#include "core/run_state.h"
#include "tests/db/fixtures.h"

using namespace moelab;
using moelab::test::TempDir;

namespace {

std::int64_t count_runs(db::Database& database) {
  return database.read([](db::Connection& c) { return c.handle().execAndGet("SELECT count(*) FROM runs").getInt64(); });
}

std::string refusal(const std::filesystem::path& file) {
  std::string message;
  CHECK(test::kind_of_error([&] { db::Database database(file); }, &message) == core::ErrorKind::storage);
  CHECK(message.find(file.string()) != std::string::npos);
  return message;
}

}  // namespace

TEST_CASE("a new database is empty, an old one is found again") {
  TempDir dir;
  {
    db::Database database(dir.path() / "a.db");
    CHECK(database.is_new());
    database.write([](db::Connection& c) { db::RunStore(c).insert(test::new_run("a"), test::at_s(0)); });
  }
  db::Database database(dir.path() / "a.db");
  CHECK_FALSE(database.is_new());
  CHECK(count_runs(database) == 1);
}

TEST_CASE("files that are no healthy database of ours are refused with a remedy") {
  TempDir dir;
  SUBCASE("text") {
    test::write_text(dir.path() / "x.db", std::string(5000, 'x'));
    CHECK(refusal(dir.path() / "x.db").find("is not a database") != std::string::npos);
  }
  SUBCASE("a database of another program") {
    SQLite::Database other((dir.path() / "x.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE songs (name TEXT)");
    CHECK(refusal(dir.path() / "x.db").find("another program") != std::string::npos);
  }
  SUBCASE("pages overwritten") {
    {
      db::Database database(dir.path() / "x.db");
      database.write([](db::Connection& c) {
        for (int i = 0; i < 500; ++i) db::RunStore(c).insert(test::new_run("run" + std::to_string(i)), test::at_s(0));
      });
    }
    const auto size = std::filesystem::file_size(dir.path() / "x.db");
    std::fstream file(dir.path() / "x.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size / 2));
    file << std::string(20'000, '\x5a');
    file.close();
    CHECK(refusal(dir.path() / "x.db").find("corrupt") != std::string::npos);
  }
  SUBCASE("cut short") {
    { db::Database database(dir.path() / "x.db"); }
    std::filesystem::resize_file(dir.path() / "x.db", 6000);
    CHECK(refusal(dir.path() / "x.db").find("corrupt") != std::string::npos);
  }
  SUBCASE("a newer schema") {
    {
      db::Database database(dir.path() / "x.db");
      database.write([](db::Connection& c) { c.exec("PRAGMA user_version = 999"); });
    }
    CHECK(refusal(dir.path() / "x.db").find("newer Moelab (schema 999") != std::string::npos);
  }
  SUBCASE("a directory") {
    std::filesystem::create_directory(dir.path() / "x.db");
    CHECK(refusal(dir.path() / "x.db").find("permissions") != std::string::npos);
  }
}

TEST_CASE("migrations bring an old database forward, all or nothing") {
  TempDir dir;
  const std::vector<db::Migration> one{{"0001_a", "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (7);"}};
  std::vector<db::Migration> two = one;
  two.push_back({"0002_b", "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x * 2;"});
  std::vector<db::Migration> broken = two;
  broken.push_back({"0003_c", "CREATE TABLE c (x INTEGER); CREATE TABLE c (x INTEGER);"});
  { db::Database database(dir.path() / "m.db", one); }
  CHECK(test::kind_of_error([&] { db::Database database(dir.path() / "m.db", broken); }) == core::ErrorKind::storage);
  db::Database database(dir.path() / "m.db", two);
  CHECK(database.read([](db::Connection& c) { return c.handle().execAndGet("SELECT y FROM a").getInt(); }) == 14);
  CHECK(database.read([](db::Connection& c) { return c.handle().execAndGet("PRAGMA user_version").getInt(); }) == 2);
  CHECK_FALSE(database.read([](db::Connection& c) { return c.handle().tableExists("c"); }));
}

TEST_CASE("a database from before runs could be pruned keeps its rows and takes the new state") {
  TempDir dir;
  db::Migration first = db::embedded_migrations().front();
  const std::string mark = "{{run_states}}";
  const std::size_t at = first.sql.find(mark);
  REQUIRE(at != std::string::npos);
  first.sql.replace(
      at, mark.size(),
      "'queued', 'starting', 'running', 'stopping', 'completed', 'failed', 'cancelled', 'timed_out', 'out_of_memory', 'lost'");
  db::RunId id = 0;
  {
    db::Database old(dir.path() / "old.db", {first});
    old.write([&](db::Connection& c) {
      id = 1;  // in the columns of that time
      c.exec(
          "INSERT INTO runs (key, matrix, name, spec, seed, total_parameters, active_parameters, flops_per_token, tokens, priority, "
          "timeout_s, "
          "max_restarts, state, queued_ms) VALUES ('k', 'm', 'a', '{}', 0, 1, 1, 1, 1, 0, 0, 0, 'completed', 5)");
      c.exec("INSERT INTO run_events (run_id, time_ms, from_state, to_state, reason) VALUES (" + std::to_string(id) +
             ", 5, '', 'queued', '')");
      CHECK_THROWS_AS(c.exec("UPDATE runs SET state = 'pruned'"), SQLite::Exception);
    });
  }
  for (int opened = 0; opened < 2; ++opened) {
    db::Database database(dir.path() / "old.db");
    database.write([&](db::Connection& c) {
      c.exec("UPDATE runs SET state = 'pruned' WHERE id = " + std::to_string(id));
      CHECK(db::RunStore(c).get(id).waits_for.empty());
      CHECK(c.handle().execAndGet("SELECT count(*) FROM runs").getInt() == 1);
      CHECK(c.handle().execAndGet("SELECT count(*) FROM run_events WHERE time_ms = 5").getInt() == 1);
      CHECK(c.handle().execAndGet("PRAGMA integrity_check").getString() == "ok");
      CHECK_THROWS_AS(c.exec("UPDATE runs SET state = 'dreaming'"), SQLite::Exception);
    });
  }
}

TEST_CASE("the schema accepts exactly the states of core") {
  test::TempDatabase t;
  t.database.write([](db::Connection& c) {
    const db::RunId id = db::RunStore(c).insert(test::new_run("a"), test::at_s(0));
    for (const core::RunState state : core::all_run_states()) {
      c.exec("UPDATE runs SET state = '" + core::to_string(state) + "' WHERE id = " + std::to_string(id));
    }
    CHECK_THROWS_AS(c.exec("UPDATE runs SET state = 'dreaming'"), SQLite::Exception);
  });
}

TEST_CASE("a write that throws leaves nothing behind, and readers see snapshots") {
  test::TempDatabase t;
  CHECK_THROWS_AS(t.database.write([](db::Connection& c) {
    db::RunStore(c).insert(test::new_run("a"), test::at_s(0));
    throw std::runtime_error("stop");
  }),
                  std::runtime_error);
  CHECK(count_runs(t.database) == 0);
  t.database.read([&](db::Connection& c) {
    const auto count = [&] { return c.handle().execAndGet("SELECT count(*) FROM runs").getInt64(); };
    CHECK(count() == 0);
    std::thread([&] { t.database.write([](db::Connection& w) { db::RunStore(w).insert(test::new_run("b"), test::at_s(0)); }); }).join();
    CHECK(count() == 0);
  });
  CHECK(count_runs(t.database) == 1);
}
