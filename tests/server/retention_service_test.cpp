// Archive and delete: what they may not do, what they leave, and that a rebuilt database agrees.
#include "server/retention/retention_service.h"

#include <doctest/doctest.h>

#include "db/experiment_store.h"
#include "server/devices/device_monitor.h"
#include "server/rebuild.h"
#include "server/run_service.h"
#include "server/wait_reasons.h"
#include "tests/server/engine_fixture.h"
#include "tests/server/matrix_fixture.h"

using namespace moelab;
using core::RunState;
using server::RunVerb;

namespace {

// Experiments a (runs 1, 2) and b (runs 2, 3), submitted; no daemon.
struct Lab {
  test::MatrixHome matrix;
  server::HomePaths paths{matrix.home()};
  test::ManualClock clock;
  server::EventBus bus;
  std::unique_ptr<server::DeviceInventory> inventory = server::make_cpu_inventory(2);
  server::DeviceMonitor monitor{*inventory, clock};
  server::WaitReasons reasons;
  std::unique_ptr<db::Database> database;
  std::unique_ptr<server::RunService> service;

  Lab() {
    std::filesystem::create_directories(paths.home());
    open();
    service->submit(matrix.request());
  }
  void open() {
    service.reset();
    database = std::make_unique<db::Database>(paths.database());
    service = std::make_unique<server::RunService>(*database, paths.home(), clock, bus, monitor, reasons, "1");
  }
  void finish(std::int64_t id, RunState to = RunState::completed) {
    test::JournalWriter journal(paths.journal(id), 1);
    journal.started(0);
    journal.finished(40, to == RunState::completed ? "completed" : "failed");
    database->write([&](db::Connection& c) {
      db::RunStore runs(c);
      runs.begin_attempt(id, {"cpu0"}, clock.now());
      runs.mark_running(id, clock.now());
      db::AttemptEnd end;
      end.to = to;
      runs.end_attempt(id, end, clock.now());
    });
  }
  void start_from(std::int64_t id, const std::filesystem::path& origin) {
    database->write([&](db::Connection& c) {
      db::RunStore runs(c);
      nlohmann::json spec = runs.spec(id);
      spec["config"]["train"]["init_from"] = origin.string();
      runs.update_spec(id, spec, {.gpus = 0});
    });
  }
  void rebuild() {
    service.reset();
    database.reset();
    server::rebuild_database(paths, clock);
    open();
  }
  std::vector<std::int64_t> listed(bool archived = false) const {
    server::RunQuery query;
    query.sort = "id";
    query.archived = archived;
    std::vector<std::int64_t> ids;
    for (const server::RunView& run : service->runs(query).runs) ids.push_back(run.id);
    return ids;
  }
  std::string refusal(const std::vector<std::int64_t>& ids) {
    std::string message;
    CHECK(test::kind_of_error([&] { service->retention().remove(ids); }, &message) == core::ErrorKind::conflict);
    return message;
  }
};

using Ids = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("archived runs are hidden from listings and results until asked for, also after a rebuild; submitting brings them back") {
  Lab lab;
  std::string message;
  CHECK(test::kind_of_error([&] { lab.service->act(RunVerb::archive, 1); }, &message) == core::ErrorKind::conflict);
  CHECK(message == "run 1 (a0) is queued: only a run that has ended can be archived");
  lab.finish(1);
  lab.finish(2);
  CHECK(lab.service->act(RunVerb::archive, 1).archived);
  CHECK(lab.listed() == Ids{2, 3});
  CHECK(lab.listed(true) == Ids{1, 2, 3});
  CHECK(lab.service->results(1).rows.size() == 1);
  CHECK(lab.service->results(1, true).rows.size() == 2);
  CHECK(lab.service->experiments().size() == 2);
  lab.service->act_on_experiment(RunVerb::archive, 1);
  CHECK(lab.service->experiments().size() == 1);  // all of a's runs are
  CHECK(lab.service->experiments(true).size() == 2);
  CHECK(lab.service->act_on_experiment(RunVerb::archive, 2).skipped.size() == 1);  // run 3 is queued

  lab.rebuild();
  CHECK(lab.listed() == Ids{3});
  lab.service->act(RunVerb::unarchive, 2);
  CHECK(lab.listed() == Ids{2, 3});
  lab.service->submit(lab.matrix.request());
  CHECK(lab.listed() == Ids{1, 2, 3});
  lab.rebuild();
  CHECK(lab.listed() == Ids{1, 2, 3});
}

TEST_CASE("delete takes rows, listings and files, all or none, and a rebuild does not bring them back") {
  Lab lab;
  lab.finish(1);
  lab.finish(2);
  const auto told = lab.bus.subscribe();
  CHECK(lab.service->retention().remove({2, 1}).runs == Ids{1, 2});
  const server::Changes changes = told->wait(std::chrono::milliseconds(0));
  CHECK(changes.runs == Ids{1, 2});
  CHECK(changes.experiments == Ids{1, 2});
  CHECK(lab.listed() == Ids{3});
  CHECK(!std::filesystem::exists(lab.paths.run(1)));
  CHECK(!std::filesystem::exists(lab.paths.run(2)));
  CHECK(std::filesystem::is_empty(lab.paths.trash()));
  CHECK(lab.service->experiments().size() == 2);  // experiments stay, with what is left
  CHECK(lab.service->experiment(1).total == 0);
  CHECK(lab.service->experiment(2).total == 1);
  lab.rebuild();
  CHECK(lab.listed() == Ids{3});
  // The key is free again: the file makes new runs of it, under new ids.
  CHECK(lab.service->submit(lab.matrix.request()).created == 2);
}

TEST_CASE("a run with a worker, or that another one needs, is not deleted; nor is anything named with it") {
  Lab lab;
  lab.finish(1);
  lab.database->write([&](db::Connection& c) { db::RunStore(c).begin_attempt(2, {"cpu0"}, lab.clock.now()); });
  CHECK(lab.refusal({1, 2}) == "run 2 (a1) is starting: cancel it before you delete it");
  CHECK(lab.listed() == Ids{1, 2, 3});
  CHECK(std::filesystem::exists(lab.paths.run(1)));
  CHECK(test::kind_of_error([&] { lab.service->retention().remove({1, 77}); }) == core::ErrorKind::not_found);
  CHECK(lab.listed() == Ids{1, 2, 3});

  lab.database->write([&](db::Connection& c) {
    db::RunStore runs(c);
    runs.set_dependencies(3, {runs.get(1).key});
  });
  CHECK(lab.refusal({1}) == "run 1 (a0) cannot be deleted: run 3 (b1), which is queued, depends on it; cancel or delete that first");
  lab.service->act(RunVerb::pause, 3);
  CHECK(lab.refusal({1}).find("run 3 (b1), which is paused") != std::string::npos);
  CHECK(lab.service->retention().remove({1, 3}).runs == Ids{1, 3});  // together they may
  CHECK(lab.listed() == Ids{2});
}

TEST_CASE("a run whose files another one starts from is not deleted, whichever file is named, until that one has ended") {
  Lab lab;
  for (const char* file : {"", "checkpoints", "checkpoints/step_00000040"}) {
    CAPTURE(file);
    lab.start_from(3, lab.paths.run(1) / file);
    CHECK(lab.refusal({1}) ==
          "run 1 (a0) cannot be deleted: run 3 (b1), which is queued, starts from its files; cancel or delete that first");
  }
  CHECK(std::filesystem::exists(lab.paths.spec(1)));
  lab.start_from(3, lab.paths.run(11));  // not what begins with the same digits
  CHECK(lab.service->retention().remove({1}).runs == Ids{1});
  lab.start_from(3, lab.paths.run(2));
  CHECK(lab.service->retention().remove({2, 3}).runs == Ids{2, 3});  // together they may

  Lab other;
  other.start_from(3, other.paths.run(1));
  other.service->act(RunVerb::cancel, 3);
  CHECK(other.service->retention().remove({1}).runs == Ids{1});
}

TEST_CASE("a run whose files are named through a symbolic link to the home is not deleted") {
  Lab lab;
  std::filesystem::create_directory_symlink(lab.paths.home(), lab.matrix.dir.path() / "link");
  lab.start_from(3, lab.matrix.dir.path() / "link/runs/1/checkpoints");
  CHECK(lab.refusal({1}).find("run 3 (b1), which is queued, starts from its files") != std::string::npos);
}

TEST_CASE("deleting an experiment leaves the runs that another one lists, and a rebuild knows no more of it") {
  Lab lab;
  const server::Deleted deleted = lab.service->retention().remove_experiment(1);
  CHECK(deleted.runs == Ids{1});
  CHECK(deleted.kept == Ids{2});
  CHECK(lab.listed() == Ids{2, 3});
  CHECK(lab.service->run(2).experiment == "b");
  CHECK(test::kind_of_error([&] { lab.service->experiment(1); }) == core::ErrorKind::not_found);
  lab.rebuild();
  CHECK(lab.service->experiments().size() == 1);
  CHECK(lab.service->run(2).name == "b0");
  CHECK(test::kind_of_error([&] { lab.service->retention().remove_experiment(9); }) == core::ErrorKind::not_found);
}

TEST_CASE("listings of several runs are put in place together: one that cannot be written leaves all as they were") {
  Lab lab;
  core::PlanRequest other = lab.matrix.request();
  other.source_text.replace(other.source_text.find("name: study"), 11, "name: other");
  lab.service->submit(other);  // experiments 3 and 4 list the same runs
  lab.finish(1);
  lab.finish(2);
  const std::string before = test::read_text(lab.paths.listings(1));
  std::filesystem::rename(lab.paths.run(2), lab.paths.home() / "away");
  CHECK(test::kind_of_error([&] { lab.service->act(RunVerb::archive, Ids{1, 2}); }) == core::ErrorKind::storage);
  CHECK(test::read_text(lab.paths.listings(1)) == before);
  CHECK_FALSE(lab.service->run(1).archived);
  CHECK(test::kind_of_error([&] { lab.service->retention().remove_experiment(1); }) == core::ErrorKind::storage);
  CHECK(test::read_text(lab.paths.listings(1)) == before);

  std::filesystem::rename(lab.paths.home() / "away", lab.paths.run(2));
  CHECK(lab.service->retention().remove_experiment(1).kept == Ids{1, 2});
  CHECK(lab.service->act(RunVerb::archive, Ids{1, 2}).runs.size() == 2);
  lab.rebuild();
  CHECK(lab.service->run(1).archived);
  CHECK(lab.service->experiments().size() == 2);  // b and the other b; all runs of the other a are archived
}

TEST_CASE("a deletion that cannot be carried out changes nothing") {
  Lab lab;
  std::filesystem::remove_all(lab.paths.trash());
  test::write_text(lab.paths.trash(), "a file where the trash should be");
  CHECK(test::kind_of_error([&] { lab.service->retention().remove({1, 3}); }) == core::ErrorKind::storage);
  CHECK(lab.listed() == Ids{1, 2, 3});
  CHECK(std::filesystem::exists(lab.paths.spec(1)));
  std::filesystem::remove(lab.paths.trash());
  lab.database->write([](db::Connection& c) {  // a commit that fails: the files have been taken by then
    c.exec("CREATE TABLE refusals (run INTEGER REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED)");
    c.exec("CREATE TRIGGER refuse AFTER DELETE ON runs BEGIN INSERT INTO refusals VALUES (-1); END");
  });
  CHECK(test::kind_of_error([&] { lab.service->retention().remove({1, 3}); }) == core::ErrorKind::storage);
  CHECK(lab.listed() == Ids{1, 2, 3});
  CHECK(std::filesystem::exists(lab.paths.spec(1)));
  CHECK(std::filesystem::exists(lab.paths.spec(3)));
  CHECK(std::filesystem::is_empty(lab.paths.trash()));
  lab.database->write([](db::Connection& c) { c.exec("DROP TRIGGER refuse"); });
  CHECK(lab.service->retention().remove({1, 3}).runs == Ids{1, 3});
}

TEST_CASE("a deletion that ended half-way with its daemon is undone if the row is there") {
  Lab lab;
  std::filesystem::create_directories(lab.paths.trash());
  std::filesystem::rename(lab.paths.run(1), lab.paths.trash() / "runs+1.1");
  lab.service->retention().put_back_half_deleted();
  lab.service->retention().empty_trash();
  CHECK(std::filesystem::exists(lab.paths.spec(1)));
}
