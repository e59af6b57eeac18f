// What REST and the CLI may ask: submitting, listing, results, verbs. No process runs here.
#include "server/run_service.h"

#include <doctest/doctest.h>

#include "core/config_json.h"
#include "db/load_store.h"
#include "server/devices/device_inventory.h"
#include "server/devices/device_monitor.h"
#include "server/wait_reasons.h"
#include "tests/server/engine_fixture.h"
#include "tests/server/matrix_fixture.h"

using namespace moelab;
using core::RunState;

namespace {

struct Service : test::MatrixHome {
  Service() { std::filesystem::create_directories(home()); }
  void metric(server::RunId id, const std::string& key, std::int64_t step, double value) {
    database().write([&](db::Connection& c) { db::MetricStore(c).put(id, 1, step, {{key, value}}); });
  }
  void end(server::RunId id, RunState state) {
    database().write([&](db::Connection& c) {
      db::RunStore runs(c);
      runs.begin_attempt(id, {"cpu0"}, clock.now());
      runs.end_attempt(id, {state, "", 0, {}, false, {}}, clock.now());
    });
  }
  db::Database& database() {
    if (!database_) {
      database_.emplace(home() / "moelab.db");
      inventory = server::make_cpu_inventory(2);
      monitor.emplace(*inventory, clock);
      monitor->refresh({});
      service_.emplace(*database_, home(), clock, bus, *monitor, reasons, "1.2.3");
    }
    return *database_;
  }
  server::RunService& service() {
    database();
    return *service_;
  }
  test::ManualClock clock;
  server::EventBus bus;
  server::WaitReasons reasons;
  std::unique_ptr<server::DeviceInventory> inventory;
  std::optional<server::DeviceMonitor> monitor;
  std::optional<db::Database> database_;
  std::optional<server::RunService> service_;
};

}  // namespace

TEST_CASE("a submission creates each key once and lists it wherever it is named") {
  Service t;
  const server::SubmitResult result = t.service().submit(t.request());
  CHECK(result.created == 3);
  CHECK(result.reused == 0);
  REQUIRE(result.runs.size() == 4);
  CHECK(result.runs[1].id == result.runs[2].id);  // a1 = b0
  CHECK(result.runs[2].name == "b0");
  CHECK(result.runs[2].experiment == "b");
  REQUIRE(result.runs[1].aliases.size() == 2);
  CHECK(result.runs[1].priority == 3);  // the higher of both experiments
  CHECK(result.runs[0].is_baseline);
  CHECK(result.runs[0].total_parameters > 0);
  CHECK(result.runs[0].max_steps == 40);
  CHECK(result.experiments[0].state == "queued");
  CHECK(result.experiments[0].total == 2);
  const auto& varied = result.runs[1].varied;
  REQUIRE(varied.size() == 1);
  CHECK(varied[0].first == "moe.lb_coeff");
  CHECK(varied[0].second == 0.01);
  const nlohmann::json spec = nlohmann::json::parse(test::read_text(t.service().run_dir(result.runs[0].id) / "run.json"));
  CHECK(spec.at("run_id") == result.runs[0].id);
  CHECK(core::run_spec_from_json(spec, "run.json").config.moe.num_experts == 4);
}

TEST_CASE("submitting again adds only what is missing; force trains ended runs again from the start") {
  Service t;
  t.service().submit(t.request());
  CHECK(t.service().submit(t.request()).created == 0);
  const server::SubmitResult edited = t.service().submit(t.request("0.02"));
  CHECK(edited.created == 1);
  CHECK(edited.reused == 2);
  CHECK(t.service().experiment(1).total == 2);   // a1 is now the new run
  CHECK(t.service().run(2).experiment.empty());  // the old one is listed by nobody, and kept
  t.end(1, RunState::failed);
  CHECK(t.service().submit(t.request("0.02")).created == 0);
  CHECK(t.service().run(1).state == RunState::failed);
  CHECK(t.service().submit(t.request("0.02"), true).created == 1);
  CHECK(t.service().run(1).state == RunState::queued);
  CHECK(t.database().read([](db::Connection& c) { return db::RunStore(c).get(1).fresh; }));
}

TEST_CASE("a submission that cannot be written leaves nothing behind") {
  Service t;
  t.service();
  test::write_text(t.home() / "runs", "a file where a directory should be");
  CHECK(test::kind_of_error([&] { t.service().submit(t.request()); }) == core::ErrorKind::storage);
  CHECK(t.service().runs({}).total == 0);
  CHECK(t.service().experiments().empty());
  core::PlanRequest bad = t.request();
  bad.overrides = {"moe.num_experts=-1"};
  CHECK(test::kind_of_error([&] { t.service().submit(bad); }) == core::ErrorKind::usage);
  bad = t.request();
  bad.base_dir = t.dir.path() / "elsewhere";
  CHECK(test::kind_of_error([&] { t.service().submit(bad); }) == core::ErrorKind::data);
}

TEST_CASE("results compare with the baseline, also one of another experiment") {
  Service t;
  t.service().submit(t.request());
  t.metric(1, "eval/loss", 40, 2.0);
  t.metric(2, "eval/loss", 40, 1.5);
  t.metric(2, "router/layer_0_cv", 40, 9);
  const server::ResultTable a = t.service().results(1);
  CHECK(a.baseline == "a0");
  REQUIRE(a.rows.size() == 2);
  CHECK(a.rows[0].is_baseline);
  CHECK(a.rows[0].delta == 0);
  CHECK(a.rows[1].delta == -0.5);
  CHECK(a.rows[1].delta_pct == -25);
  CHECK_FALSE(a.rows[1].values.contains("router/layer_0_cv"));
  const server::ResultTable b = t.service().results(2);
  CHECK(b.rows[0].name == "b0");
  CHECK(b.rows[0].delta == -0.5);
  CHECK_FALSE(b.rows[1].delta);
}

TEST_CASE("runs are listed in pages, by experiment, by metric") {
  Service t;
  t.service().submit(t.request());
  t.metric(3, "eval/loss", 1, 1.0);
  t.metric(1, "eval/loss", 1, 2.0);
  server::RunQuery query;
  query.limit = 2;
  query.sort = "metrics.eval/loss";
  const server::RunPage first = t.service().runs(query);
  CHECK(first.total == 3);
  CHECK(first.runs[0].id == 3);
  REQUIRE(first.next_cursor);
  query.cursor = *first.next_cursor;
  const server::RunPage second = t.service().runs(query);
  CHECK(second.runs.size() == 1);
  CHECK_FALSE(second.next_cursor);
  query = {};
  query.experiment = 2;
  CHECK(t.service().runs(query).runs[0].name == "b0");
  query.experiment = 99;
  CHECK(test::kind_of_error([&] { t.service().runs(query); }) == core::ErrorKind::not_found);
  query = {};
  query.cursor = "12x";
  CHECK(test::kind_of_error([&] { t.service().runs(query); }) == core::ErrorKind::usage);
  query = {};
  query.limit = 0;
  CHECK(test::kind_of_error([&] { t.service().runs(query); }) == core::ErrorKind::usage);
}

TEST_CASE("cancel, bulk cancel and retry") {
  Service t;
  t.service().submit(t.request());
  CHECK(t.service().act(server::RunVerb::cancel, 1).state == RunState::cancelled);
  CHECK(test::kind_of_error([&] { t.service().act(server::RunVerb::cancel, std::vector<server::RunId>{2, 99}); }) == core::ErrorKind::not_found);
  CHECK(t.service().run(2).state == RunState::queued);
  CHECK(t.service().act_on_experiment(server::RunVerb::cancel, 2).runs.size() == 2);
  CHECK(t.service().experiment(2).state == "cancelled");
  CHECK(t.service().act(server::RunVerb::retry, 1).state == RunState::queued);
  CHECK(test::kind_of_error([&] { t.service().act(server::RunVerb::retry, 1); }) == core::ErrorKind::conflict);
  t.end(1, RunState::completed);
  CHECK(test::kind_of_error([&] { t.service().act(server::RunVerb::retry, 1); }) == core::ErrorKind::conflict);
  CHECK(test::kind_of_error([&] { t.service().act(server::RunVerb::retry, 99); }) == core::ErrorKind::not_found);
  const server::HealthView health = t.service().health();
  CHECK(health.runs.at("completed") == 1);
  CHECK(health.runs.at("cancelled") == 2);
  CHECK(health.devices_free == 2);
}

TEST_CASE("an experiment is paused when all that has not ended is, and completed only when all has ended") {
  Service t;
  t.service().submit(t.request());
  t.service().act(server::RunVerb::pause, 2);
  CHECK(t.service().experiment(1).state == "queued");  // run 1 is
  t.service().act(server::RunVerb::pause, 1);
  CHECK(t.service().experiment(1).state == "paused");
  t.service().act(server::RunVerb::resume, 1);
  t.end(1, RunState::completed);
  CHECK(t.service().experiment(1).state == "paused");
  t.service().act(server::RunVerb::resume, 2);
  CHECK(t.service().experiment(1).state == "running");
  t.end(2, RunState::completed);
  CHECK(t.service().experiment(1).state == "completed");
}

TEST_CASE("the progress of an experiment that has ended is one, however many runs it has") {
  Service t;
  for (const char* seeds : {"[0, 1, 2]", "[0, 1, 2, 3, 4]"}) {  // a has two variants: 6 runs, 10 runs
    CAPTURE(seeds);
    core::PlanRequest request = t.request();
    request.source_text.insert(request.source_text.find("    variants:"), std::string("    seeds: ") + seeds + "\n");
    t.service().submit(request);
    t.service().act_on_experiment(server::RunVerb::cancel, 1);
    CHECK(t.service().experiment(1).progress == 1);
  }
}

TEST_CASE("a run that is named twice is changed once") {
  Service t;
  t.service().submit(t.request());
  const server::VerbResult result = t.service().act(server::RunVerb::cancel, std::vector<server::RunId>{3, 1, 3, 1});
  REQUIRE(result.runs.size() == 2);
  CHECK(result.runs[0].id == 3);
  CHECK(result.runs[1].id == 1);
  CHECK(result.skipped.empty());
}

TEST_CASE("a run that has ended has no place in the queue to be given") {
  Service t;
  t.service().submit(t.request());
  CHECK(t.service().set_priority(1, 7).priority == 7);
  t.service().act(server::RunVerb::pause, 1);
  CHECK(t.service().set_priority(1, 8).priority == 8);
  t.end(2, RunState::completed);
  std::string message;
  CHECK(test::kind_of_error([&] { t.service().set_priority(2, 7); }, &message) == core::ErrorKind::conflict);
  CHECK(message.ends_with("is completed: only a run that has not ended has a place in the queue"));
  CHECK(t.service().run(2).priority == 3);
}

TEST_CASE("a run is forced onto a device of the kind it needs only") {
  Service t;
  const std::int64_t id = t.database().write([](db::Connection& c) {
    db::NewRun run = test::new_run("big");
    run.resources.gpus = 1;
    return db::RunStore(c).insert(run, test::at_s(0));
  });
  std::string message;
  CHECK(test::kind_of_error([&] { t.service().force(id, "cpu0"); }, &message) == core::ErrorKind::conflict);
  CHECK(message == "run 1 (big) cannot start on cpu0: it needs a gpu device, and that is a cpu one");
  CHECK(t.service().force(id, "").id == id);
}

TEST_CASE("the pace of a live run gives its remaining time, and that of its experiment") {
  Service t;
  t.service().submit(t.request());
  t.database().write([&](db::Connection& c) {
    db::RunStore runs(c);
    runs.begin_attempt(1, {"cpu0"}, t.clock.now());
    runs.set_attempt_started(1, 1, {{"host", "here"}}, 40, 0, 0, 0);
    runs.mark_running(1, t.clock.now());
    runs.set_step(1, 10, test::at_s(100));  // the first step of the attempt may come late: tokenising is not training
    runs.set_step(1, 20, test::at_s(105));
  });
  const server::RunView run = t.service().run(1);
  CHECK(run.progress == 0.5);
  CHECK(run.eta_s == doctest::Approx(10));
  CHECK(t.service().experiment(1).eta_s == doctest::Approx(30));  // 20 steps left here, 40 of the queued one, at 2 a second
  CHECK(t.service().experiment(1).progress == 0.25);
  CHECK(t.service().run_detail(1).provenance.at("host") == "here");
}

TEST_CASE("expert load by layer and step") {
  Service t;
  t.service().submit(t.request());
  t.database().write([&](db::Connection& c) {
    for (const std::int64_t step : {10, 20, 30}) db::LoadStore(c).put(1, 1, {step, {0, 2}, 1, 2, {step, 1, 2, 3}});
  });
  const server::ExpertLoadView all = t.service().expert_load(1, 0, 2, std::nullopt);
  CHECK(all.total_frames == 3);
  REQUIRE(all.frames.size() == 2);
  CHECK(all.frames[1].step == 30);
  CHECK(t.service().expert_load(1, 20, 0, 2).frames[0].counts == std::vector<std::int64_t>{2, 3});
  CHECK(test::kind_of_error([&] { t.service().expert_load(1, 0, 0, 1); }) == core::ErrorKind::not_found);
  CHECK(t.service().expert_load_frame(1, std::nullopt).frames[0].step == 30);
  CHECK(test::kind_of_error([&] { t.service().expert_load_frame(1, 11); }) == core::ErrorKind::not_found);
  CHECK(test::kind_of_error([&] { t.service().metrics(1, {}, 0, 3); }) == core::ErrorKind::usage);
}
