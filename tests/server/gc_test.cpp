// gc on a real home: the listing sees what lies there, the report is kept to, and what has changed meanwhile stays.
#include "server/retention/gc.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <thread>

#include "db/file_store.h"
#include "server/process_info.h"
#include "server/retention/trash.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using core::RunState;

namespace {

namespace fs = std::filesystem;

struct GcHome : test::EngineHome {
  // A run that has ended, with checkpoints of `bytes` at these steps.
  std::int64_t ended_run(const std::string& name, std::vector<int> steps, RunState to = RunState::completed, std::size_t bytes = 1000) {
    const std::int64_t id = add_run(name);
    for (const int step : steps) checkpoint(id, step, bytes);
    test::write_text(paths.journal(id), "journal\n");
    test::write_text(paths.spec(id), "{}");
    database.write([&](db::Connection& c) {
      db::RunStore runs(c);
      runs.begin_attempt(id, {"cpu0"}, clock.now());
      runs.mark_running(id, clock.now());
      db::AttemptEnd end;
      end.to = to;
      runs.end_attempt(id, end, clock.now());
    });
    return id;
  }
  void checkpoint(std::int64_t id, int step, std::size_t bytes = 1000) {
    const std::string name = "step_0000000" + std::to_string(step);
    fs::create_directories(paths.checkpoints(id) / name);
    test::write_text(paths.checkpoints(id) / name / "model.safetensors", std::string(bytes, 'x'));
    database.write([&](db::Connection& c) { db::FileStore(c).put_checkpoint(id, 1, {step, "checkpoints/" + name, step == 1}); });
  }
  // A queued run that names these files.
  void start_from(const fs::path& origin) {
    database.write([&](db::Connection& c) {
      db::NewRun run = test::new_run("tuned");
      run.spec["config"]["train"]["init_from"] = origin.string();
      db::RunStore(c).insert(run, clock.now());
    });
  }
  std::vector<std::string> checkpoints(std::int64_t id) const {
    std::vector<std::string> names;
    for (const auto& item : fs::directory_iterator(paths.checkpoints(id))) names.push_back(item.path().filename().string().substr(5));
    std::sort(names.begin(), names.end());
    return names;
  }
  server::GcReport gc(const server::GcRules& rules = {}, bool dry_run = false) {
    return server::collect_garbage(database, paths, rules, dry_run, clock.now());
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("gc frees what an ended run does not keep, says so before, and touches nothing in a dry run") {
  GcHome home;
  const std::int64_t run = home.ended_run("a", {1, 2, 3, 4, 5});
  const std::int64_t live = home.add_run("b");
  for (const int step : {1, 2, 3, 4, 5}) home.checkpoint(live, step);
  const server::GcReport planned = home.gc({}, true);
  CHECK(planned.dry_run);
  CHECK(planned.freed_bytes == 0);
  REQUIRE(planned.plan.drops.size() == 2);  // keeps 2, and step 1, the best
  CHECK(planned.plan.drops[0].path == "runs/1/checkpoints/step_00000002");
  CHECK(planned.plan.drops[0].run == run);
  CHECK(planned.plan.drops[0].bytes == 1000);
  CHECK(planned.plan.bytes_before == server::bytes_of(home.paths.home()));
  CHECK(home.checkpoints(run).size() == 5);

  const server::GcReport done = home.gc();
  CHECK(done.failed.empty());
  CHECK(done.freed_bytes == 2000);
  CHECK(home.checkpoints(run) == Names{"00000001", "00000004", "00000005"});
  CHECK(home.checkpoints(live).size() == 5);
  CHECK(test::read_text(home.paths.journal(run)) == "journal\n");
  CHECK(fs::is_empty(home.paths.trash()));
  CHECK(home.gc().plan.drops.empty());
}

TEST_CASE("how many checkpoints an ended run keeps is what its file says") {
  GcHome home;
  const std::int64_t run = home.ended_run("a", {1, 2, 3, 4, 5});
  home.database.write([&](db::Connection& c) {
    db::RunStore runs(c);
    nlohmann::json spec = runs.spec(run);
    spec["config"]["checkpoint"] = {{"keep_last", 3}, {"keep_best", 0}};
    runs.update_spec(run, spec, runs.get(run).resources);
  });
  home.gc();
  CHECK(home.checkpoints(run) == Names{"00000003", "00000004", "00000005"});
}

TEST_CASE("what an earlier attempt left half-written goes while the next one trains, and what that writes stays") {
  GcHome home;
  const std::int64_t run = home.add_run("a");
  const fs::path old = home.paths.checkpoints(run) / ".tmp_step_00000001", fresh = home.paths.checkpoints(run) / ".tmp_step_00000002";
  for (const fs::path& path : {old, fresh}) {
    fs::create_directories(path);
    test::write_text(path / "model.safetensors", "12345");
  }
  const fs::file_time_type now = fs::file_time_type::clock::now();  // the clock of tests began in 2023
  for (const fs::path& path : {old, old / "model.safetensors"}) fs::last_write_time(path, now - std::chrono::hours(24 * 365 * 30));
  home.database.write([&](db::Connection& c) { db::RunStore(c).begin_attempt(run, {"cpu0"}, home.clock.now()); });
  home.gc();
  CHECK(!fs::exists(old));
  CHECK(fs::exists(fresh));
}

TEST_CASE("checkpoints another run depends on, or starts from by its path, stay even under a quota") {
  GcHome home;
  const std::int64_t dense = home.ended_run("dense", {1, 2, 3}), fine = home.ended_run("fine", {1, 2, 3});
  const std::int64_t free = home.ended_run("free", {1, 2}), linked = home.ended_run("far", {1, 2, 3});
  const test::TempDir elsewhere;
  fs::create_directory_symlink(home.paths.home(), elsewhere.path() / "lab");
  home.add_run("upcycled", {.gpus = 0}, 0, "key-dense");
  home.database.write([&](db::Connection& c) {
    db::NewRun run = test::new_run("tuned");
    run.spec["config"]["train"]["init_from"] = (home.paths.checkpoints(fine) / "step_00000003").string();
    db::RunStore(c).insert(run, home.clock.now());
    run.key = run.name = "linked";
    run.spec["config"]["train"]["init_from"] = (elsewhere.path() / "lab/runs" / std::to_string(linked) / "checkpoints").string();
    db::RunStore(c).insert(run, home.clock.now());
    run.key = run.name = "lost";  // from a run that is not there: 30 is not 3
    run.spec["config"]["train"]["init_from"] = (home.paths.checkpoints(10 * free) / "step_00000001").string();
    db::RunStore(c).insert(run, home.clock.now());
  });
  server::GcRules rules;
  rules.quota_bytes = 1;
  const server::GcReport report = home.gc(rules);
  CHECK(!report.plan.within_quota);
  CHECK(home.checkpoints(dense) == Names{"00000001", "00000003"});
  CHECK(home.checkpoints(fine) == Names{"00000001", "00000003"});
  CHECK(home.checkpoints(linked) == Names{"00000001", "00000003"});
  CHECK(home.checkpoints(free).empty());
}

TEST_CASE("a run that is queued again, or needed by a new one, after gc has looked keeps its checkpoints") {
  GcHome home;
  const std::int64_t again = home.ended_run("a", {1, 2, 3}, RunState::failed), dense = home.ended_run("dense", {1, 2, 3});
  // Unused cache goes before checkpoints: its lock file tells that gc has looked. From then on it waits for our commit.
  const fs::path entry = home.paths.cache() / "tokens/old";
  fs::create_directories(entry);
  fs::last_write_time(entry, fs::file_time_type::clock::now() - std::chrono::hours(24 * 900));
  home.clock.advance(std::chrono::hours(24 * 365 * 30));
  server::GcRules rules;
  rules.quota_bytes = 1;
  server::GcReport report;
  std::thread gc;
  home.database.write([&](db::Connection& c) {
    gc = std::thread([&] { report = home.gc(rules); });
    CHECK(test::eventually([&] { return fs::exists(home.paths.cache() / "tokens/old.lock"); }));
    db::RunStore runs(c);
    runs.requeue(again, false, "retried", home.clock.now());
    db::NewRun fine = test::new_run("fine");
    fine.depends_on = {"key-dense"};
    runs.insert(fine, home.clock.now());
  });
  gc.join();
  CHECK(home.checkpoints(again).size() == 3);
  CHECK(home.checkpoints(dense).size() == 3);
  CHECK(!fs::exists(entry));
  REQUIRE(report.failed.size() == 6);
  CHECK(report.failed[0].second == "another run needs it meanwhile");
  CHECK(report.failed[5].second == "the run has changed meanwhile");
}

TEST_CASE("the very checkpoint that another run names stays, be it the newest, the best or neither") {
  GcHome home;
  const std::int64_t run = home.ended_run("a", {1, 2, 3, 4, 5});
  home.start_from(home.paths.checkpoints(run) / "step_00000002" / "model.safetensors");
  home.gc();
  CHECK(home.checkpoints(run) == Names{"00000001", "00000002", "00000004", "00000005"});
  server::GcRules rules;
  rules.keep_checkpoints = 0;
  rules.quota_bytes = 1;
  home.gc(rules);
  CHECK(home.checkpoints(run) == Names{"00000001", "00000002", "00000005"});
}

TEST_CASE("a checkpoint that is named through a symbolic link stays too") {
  GcHome home;
  const test::TempDir elsewhere;
  const std::int64_t run = home.ended_run("a", {1, 2, 3});
  fs::create_directory_symlink(home.paths.home(), elsewhere.path() / "link");
  home.start_from(elsewhere.path() / "link/runs" / std::to_string(run) / "checkpoints/step_00000002");
  server::GcRules rules;
  rules.quota_bytes = 1;
  home.gc(rules);
  CHECK(home.checkpoints(run) == Names{"00000001", "00000002", "00000003"});
}

TEST_CASE("leftovers, strays and unused cache go; journals, locks and a cache entry in use stay") {
  GcHome home;
  const std::int64_t run = home.ended_run("a", {1}, RunState::failed);
  const auto text = [&](const fs::path& file) {
    fs::create_directories(file.parent_path());
    test::write_text(file, "text");
  };
  text(home.paths.checkpoints(run) / ".tmp_step_00000007/model.safetensors");
  text(home.paths.checkpoints(run) / "step_00000006.damaged/model.safetensors");
  text(home.paths.run(run) / "listings.json.tmp1");
  text(home.paths.run(run) / ("run.json.tmp" + std::to_string(::getpid())));  // this process may be writing it
  text(home.paths.run(50) / "run.json");                                      // a submission that never was
  text(home.paths.run(51) / "events.jsonl");                                  // lost from the database
  text(home.paths.trash() / "runs+40.1/run.json");
  for (const char* key : {"old", "building", "used"}) text(home.paths.cache() / "tokens" / key / "train.bin");
  text(home.paths.cache() / "content_hashes.json");
  home.clock.advance(std::chrono::hours(24 * 365 * 30));  // the files are of today; the clock of tests began in 2023
  const fs::file_time_type long_ago = fs::file_time_type::clock::now() - std::chrono::hours(24 * 900);
  for (const auto& item : fs::recursive_directory_iterator(home.paths.cache())) fs::last_write_time(item.path(), long_ago);
  fs::last_write_time(home.paths.cache() / "tokens/used", fs::file_time_type::clock::now() + std::chrono::hours(24 * 365 * 29));
  const int lock = ::open((home.paths.cache() / "tokens/building.lock").c_str(), O_RDWR | O_CREAT, 0644);
  REQUIRE(::flock(lock, LOCK_EX) == 0);

  const server::GcReport report = home.gc();
  ::close(lock);
  CHECK(!fs::exists(home.paths.checkpoints(run) / ".tmp_step_00000007"));
  CHECK(!fs::exists(home.paths.checkpoints(run) / "step_00000006.damaged"));
  CHECK(!fs::exists(home.paths.run(run) / "listings.json.tmp1"));
  CHECK(fs::exists(home.paths.run(run) / ("run.json.tmp" + std::to_string(::getpid()))));
  CHECK(!fs::exists(home.paths.run(50)));
  CHECK(fs::exists(home.paths.journal(51)));
  CHECK(fs::is_empty(home.paths.trash()));
  CHECK(!fs::exists(home.paths.cache() / "tokens/old"));
  CHECK(fs::exists(home.paths.cache() / "tokens/used"));
  CHECK(fs::exists(home.paths.cache() / "content_hashes.json"));
  REQUIRE(report.failed.size() == 1);
  CHECK(report.failed[0].first == "cache/tokens/building");
  CHECK(report.failed[0].second == "a worker is building it");
  REQUIRE(report.plan.notes.size() == 1);
  CHECK(report.plan.notes[0].find("runs/51 is of no known run but has a journal") == 0);
}

TEST_CASE("a directory that the database does not know stays while a worker trains in it") {
  GcHome home;
  fs::create_directories(home.paths.run(50));
  const std::string variable = "MOELAB_RUN_DIR=" + home.paths.run(50).string();
  const std::array<const char*, 2> environment{variable.c_str(), nullptr};
  const pid_t worker = ::fork();
  if (worker == 0) {
    ::execle("/bin/sleep", "sleep", "600", nullptr, environment.data());
    ::_exit(127);
  }
  REQUIRE(test::eventually([&] { return server::find_worker(home.paths.run(50).string()).has_value(); }));
  const server::GcReport report = home.gc();
  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);
  CHECK(fs::exists(home.paths.run(50)));
  REQUIRE(report.plan.notes.size() == 1);
  CHECK(report.plan.notes[0].find("a worker trains in it") != std::string::npos);
  home.gc();
  CHECK(!fs::exists(home.paths.run(50)));
}

TEST_CASE("a trash that was filled and not emptied is put back or emptied, by what the database says") {
  GcHome home;
  const std::int64_t kept = home.ended_run("kept", {1});
  const server::Trash trash(home.paths);
  trash.take(home.paths.run(kept));  // and the daemon died before the row was gone
  fs::create_directories(home.paths.run(99));
  trash.take(home.paths.run(99));
  CHECK(!fs::exists(home.paths.run(kept)));
  trash.put_back_runs([&](std::int64_t id) { return id == kept; });
  CHECK(test::read_text(home.paths.journal(kept)) == "journal\n");
  trash.empty();
  CHECK(fs::is_empty(home.paths.trash()));
  CHECK(!fs::exists(home.paths.run(99)));
  // The same name twice is two things.
  for (int i = 0; i < 2; ++i) {
    test::write_text(home.paths.home() / "thing", "12345");
    trash.take(home.paths.home() / "thing");
  }
  CHECK(trash.empty() == 10);
  // What a link points to is not of the home.
  const test::TempDir elsewhere;
  test::write_text(elsewhere.path() / "corpus.txt", "12345");
  for (const fs::path& target : {elsewhere.path(), elsewhere.path() / "corpus.txt"}) {
    fs::create_symlink(target, home.paths.home() / "link");
    CHECK(server::bytes_of(home.paths.home() / "link") == 0);
    trash.take(home.paths.home() / "link");
    CHECK(trash.empty() == 0);
  }
  CHECK(fs::exists(elsewhere.path() / "corpus.txt"));
}
