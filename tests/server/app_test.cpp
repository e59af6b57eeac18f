// The whole daemon with real processes: a matrix to its end, Ctrl-C, kill -9, a second daemon. The worker is a shell stand-in.
#include "server/app.h"

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "core/plan.h"
#include "core/run_spec.h"
#include "server/process_info.h"
#include "server/rebuild.h"
#include "server/run_service.h"
#include "tests/server/engine_fixture.h"
#include "tests/server/matrix_fixture.h"

using namespace moelab;
using core::RunState;
using namespace std::chrono_literals;

namespace {

const std::filesystem::path kStandIn = std::filesystem::path(MOELAB_SOURCE_DIR) / "tests/server/stand_in_worker.sh";

struct Setting {
  Setting(const char* mode, const char* steps) {
    ::setenv("STAND_IN_MODE", mode, 1);
    ::setenv("STAND_IN_STEPS", steps, 1);
  }
  ~Setting() {
    ::unsetenv("STAND_IN_MODE");
    ::unsetenv("STAND_IN_STEPS");
  }
};

server::AppOptions options(const std::filesystem::path& home) {
  server::AppOptions o;
  o.home = home;
  o.worker = kStandIn;
  o.cpu_slots = 2;
  o.tick = 10ms;
  o.grace = 20s;
  return o;
}

std::vector<server::RunView> all_runs(server::App& app) {
  server::RunQuery query;
  query.sort = "id";
  return app.service().runs(query).runs;
}

bool all_in(server::App& app, RunState state) {
  for (const server::RunView& run : all_runs(app)) {
    if (run.state != state) return false;
  }
  return true;
}

// Every step once, in order: nothing lost, nothing doubled.
void check_whole_curves(server::App& app, std::int64_t steps) {
  for (const server::RunView& run : all_runs(app)) {
    const auto points = app.service().metrics(run.id, {"train/loss"}, 0, 0)[0].points;
    REQUIRE(static_cast<std::int64_t>(points.size()) == steps);
    for (std::int64_t i = 0; i < steps; ++i) CHECK(points[static_cast<std::size_t>(i)].first == i + 1);
  }
}

// Runs `work` in a process of its own, which must be killed to end.
template <class Work>
pid_t in_child(Work&& work) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    try {
      work();
    } catch (const std::exception&) {
      ::_exit(99);
    }
    for (;;) ::pause();
  }
  return pid;
}

}  // namespace

TEST_CASE("a matrix trains to its end, with a crash on the way") {
  const Setting setting("crash", "6");
  test::MatrixHome t;
  server::App app(options(t.home()));
  app.start();
  CHECK(app.service().submit(t.request()).created == 3);
  REQUIRE(test::eventually([&] { return all_in(app, RunState::completed); }));
  check_whole_curves(app, 6);
  for (const server::RunView& run : all_runs(app)) {
    CHECK(run.attempt == 2);
    CHECK(run.restarts == 1);
    CHECK(run.metrics.at("train/loss") == 206);  // of the second attempt
    CHECK(run.device.empty());
  }
  const server::ExperimentView experiment = app.service().experiment(1);
  CHECK(experiment.state == "completed");
  CHECK(experiment.progress == doctest::Approx(1));
}

TEST_CASE("stopping the daemon checkpoints and requeues; the next start goes on from there") {
  const Setting setting("train", "60");
  test::MatrixHome t;
  {
    server::App app(options(t.home()));
    app.start();
    app.service().submit(t.request());
    REQUIRE(test::eventually([&] { return all_runs(app)[1].step >= 3 && all_runs(app)[2].step >= 3; }));
    app.stop();
    CHECK(all_in(app, RunState::queued));
    CHECK(all_runs(app)[1].attempt == 1);
    CHECK(all_runs(app)[1].restarts == 0);
  }
  server::App app(options(t.home()));
  app.start();
  REQUIRE(test::eventually([&] { return all_in(app, RunState::completed); }));
  check_whole_curves(app, 60);
  CHECK(all_runs(app)[1].attempt == 2);
  const auto events = app.service().run_detail(2).events;
  CHECK(std::any_of(events.begin(), events.end(), [](const server::RunEventView& e) { return e.reason == "the daemon was stopped"; }));
}

TEST_CASE("workers outlive a daemon killed with -9 and are adopted by the next one: no run and no metric is lost") {
  const Setting setting("train", "80");
  test::MatrixHome t;
  const pid_t daemon = in_child([&] {
    server::App app(options(t.home()));
    app.start();
    app.service().submit(t.request());
    for (;;) ::pause();
  });
  const server::HomePaths paths(t.home());
  REQUIRE(test::eventually([&] {
    return test::read_text(paths.journal(2)).find("\"step\":5,") != std::string::npos && std::filesystem::exists(paths.journal(3));
  }));
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
  const std::optional<std::int64_t> orphan = server::find_worker(paths.run(2).string());
  REQUIRE(orphan);
  server::App app(options(t.home()));
  CHECK(all_runs(app).size() == 3);
  CHECK(all_runs(app)[1].pid == *orphan);
  app.start();
  REQUIRE(test::eventually([&] { return all_in(app, RunState::completed); }));
  check_whole_curves(app, 80);
  CHECK(all_runs(app)[1].attempt == 1);  // adopted, not started again
  CHECK(all_runs(app)[1].restarts == 0);
}

TEST_CASE("a worker that dies while no daemon watches is started again from its checkpoint") {
  const Setting setting("train", "100");
  test::MatrixHome t;
  const pid_t daemon = in_child([&] {
    server::App app(options(t.home()));
    app.start();
    app.service().submit(t.request());
    for (;;) ::pause();
  });
  const server::HomePaths paths(t.home());
  REQUIRE(test::eventually([&] { return test::read_text(paths.journal(2)).find("\"step\":5,") != std::string::npos; }));
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
  ::kill(static_cast<pid_t>(*server::find_worker(paths.run(2).string())), SIGKILL);
  ::setenv("STAND_IN_STEPS", "12", 1);
  server::App app(options(t.home()));
  app.start();
  REQUIRE(test::eventually([&] { return app.service().run(2).state == RunState::completed; }));
  CHECK(app.service().run(2).attempt == 2);
  CHECK(app.service().run(2).restarts == 1);
  const auto points = app.service().metrics(2, {"train/loss"}, 0, 0)[0].points;
  for (std::size_t i = 0; i < points.size(); ++i) CHECK(points[i].first == static_cast<std::int64_t>(i) + 1);
}

TEST_CASE("cancelling a live run lets it checkpoint; retrying goes on from there") {
  const Setting setting("train", "40");
  test::MatrixHome t;
  server::App app(options(t.home()));
  app.start();
  app.service().submit(t.request());
  REQUIRE(test::eventually([&] { return app.service().run(2).step >= 3; }));
  CHECK(app.service().act(server::RunVerb::cancel, 2).state == RunState::stopping);
  REQUIRE(test::eventually([&] { return app.service().run(2).state == RunState::cancelled; }));
  CHECK(app.service().run(2).exit_code == core::kExitPreempted);
  CHECK(test::kind_of_error([&] { app.service().act(server::RunVerb::cancel, 2); }) == core::ErrorKind::conflict);
  app.service().act(server::RunVerb::retry, 2);
  REQUIRE(test::eventually([&] { return all_in(app, RunState::completed); }));
  check_whole_curves(app, 40);
}

TEST_CASE("two daemons never share a home, and a home that is a file is refused") {
  test::MatrixHome t;
  server::App app(options(t.home()));
  std::string message;
  CHECK(test::kind_of_error([&] { server::App second(options(t.home())); }, &message) == core::ErrorKind::conflict);
  CHECK(message.find("process " + std::to_string(::getpid())) != std::string::npos);
  app.announce("http://127.0.0.1:1", "");
  CHECK(nlohmann::json::parse(test::read_text(t.home() / "daemon.json")).at("pid") == ::getpid());
  app.stop();
  CHECK_FALSE(std::filesystem::exists(t.home() / "daemon.json"));
  test::write_text(t.dir.path() / "file", "x");
  CHECK(test::kind_of_error([&] { server::App third(options(t.dir.path() / "file")); }) == core::ErrorKind::storage);
}

TEST_CASE("the database is rebuilt from the runs' directories: same ids, names, metrics and ends") {
  const Setting setting("train", "5");
  test::MatrixHome t;
  std::vector<server::RunView> before;
  {
    server::App app(options(t.home()));
    app.start();
    app.service().submit(t.request());
    REQUIRE(test::eventually([&] { return all_in(app, RunState::completed); }));
    before = all_runs(app);
    app.stop();
  }
  std::filesystem::create_directories(t.home() / "runs/not_a_run");
  SUBCASE("asked for, over a corrupt file") {
    test::write_text(t.home() / "moelab.db", std::string(9000, 'x'));
    std::string message;
    CHECK(test::kind_of_error([&] { server::App app(options(t.home())); }, &message) == core::ErrorKind::storage);
    CHECK(message.find("moelab db rebuild") != std::string::npos);
    CHECK(server::rebuild_home(t.home()).runs == 3);
    CHECK(std::filesystem::exists(t.home() / "moelab.db.old"));
  }
  SUBCASE("by the daemon, when the file is gone") {
    for (const char* name : {"moelab.db", "moelab.db-wal", "moelab.db-shm"}) std::filesystem::remove(t.home() / name);
  }
  server::App app(options(t.home()));
  check_whole_curves(app, 5);
  const std::vector<server::RunView> after = all_runs(app);
  REQUIRE(after.size() == before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    CHECK(after[i].id == before[i].id);
    CHECK(after[i].key == before[i].key);
    CHECK(after[i].name == before[i].name);
    CHECK(after[i].experiment == before[i].experiment);
    CHECK(after[i].state == RunState::completed);
    CHECK(after[i].attempt == 1);
    CHECK(after[i].varied == before[i].varied);
    CHECK(after[i].total_parameters == before[i].total_parameters);
  }
  CHECK(app.service().submit(t.request()).created == 0);
}
