// Learning-rate sweeps over REST: submitting, reporting, applying.
#include <doctest/doctest.h>

#include <cmath>

#include "server/http/openapi_document.h"
#include "tests/server/http_fixture.h"
#include "tests/server/http_schema_check.h"

using namespace moelab;
using nlohmann::json;

namespace {

struct SweptHome : test::Served {
  json sweep(const json& lr_sweep, int status = 201, const json& more = json::object()) const {
    json body = submission({{"lr_sweep", lr_sweep}, {"only", {"none", "bias"}}});
    body.update(more);
    return post("/api/v1/experiments", body, status);
  }
  // What a worker would have reported of the run called `name`, and how it ended.
  void train(const json& submitted, const std::string& name, double loss, core::RunState end = core::RunState::completed) {
    for (const json& run : submitted.at("runs")) {
      if (run.at("name") != name) continue;
      const auto id = run.at("id").get<std::int64_t>();
      add_metrics(id, 1, {{"train/loss", 9}, {"train/grad_norm", 2}});
      add_metrics(id, 2, {{"train/loss", loss}, {"train/grad_norm", 0.25}});
      finish(id, end);
    }
  }
};

}  // namespace

TEST_CASE("a sweep is submitted, reported under either experiment, and its rates applied to the study") {
  SweptHome t;
  const json submitted = t.sweep({{"rates", {1e-3, 1e-2}}, {"steps", 20}, {"warmup", 2}});
  CHECK(submitted.at("created") == 4);
  CHECK(submitted.at("experiments")[0].at("name") == "balance.lr_sweep");
  CHECK(t.sweep({{"rates", {1e-3, 1e-2}}, {"steps", 20}, {"warmup", 2}}).at("reused") == 4);
  t.train(submitted, "none,lr=0.001", 5);
  t.train(submitted, "none,lr=0.01", 4);
  t.train(submitted, "bias,lr=0.001", std::nan(""), core::RunState::failed);
  t.train(submitted, "bias,lr=0.01", std::nan(""), core::RunState::failed);
  const std::string id = submitted.at("experiments")[0].at("id").dump();
  const json report = t.get("/api/v1/experiments/" + id + "/lr-sweep");
  const json schema = {{"$ref", "#/components/schemas/LrSweep"}};
  CHECK(test::SchemaCheck(server::http::openapi_document()).problems(report, schema) == std::vector<std::string>{});
  CHECK(report.at("experiment") == "balance");
  CHECK(report.at("steps") == 20);
  CHECK(report.at("warmup") == 2);
  REQUIRE(report.at("variants").size() == 2);
  const json& none = report.at("variants")[0];
  CHECK(none.at("name") == "none");
  CHECK(none.at("best") == 0.01);
  CHECK(none.at("rates")[0].at("last_loss") == 4);
  CHECK(none.at("rates")[0].at("smoothed_loss") == 6.5);
  CHECK(none.at("rates")[0].at("last_grad_norm") == 0.25);
  CHECK(none.at("refusal").is_null());
  const json& bias = report.at("variants")[1];
  CHECK(bias.at("best").is_null());
  CHECK(bias.at("refusal") == "every rate diverged; sweep smaller ones");
  CHECK(bias.at("rates")[0].at("last_loss") == "NaN");

  const json study =
      t.post("/api/v1/experiments", t.submission({{"run_overrides", {{"balance/none", {"train.lr=0.01"}}}}, {"only", {"none"}}}), 201);
  const json run = t.get("/api/v1/runs/" + study.at("runs")[0].at("id").dump());
  CHECK(run.at("config").at("train").at("lr") == 0.01);
  CHECK(t.get("/api/v1/experiments/" + study.at("experiments")[0].at("id").dump() + "/lr-sweep") == report);
}

TEST_CASE("an experiment without a sweep has no report, and an unknown one neither") {
  SweptHome t;
  const json submitted = t.submit();
  const json answer = t.get("/api/v1/experiments/" + submitted.at("experiments")[0].at("id").dump() + "/lr-sweep", 404);
  CHECK(answer.at("error").at("message") == "the experiment balance has no learning-rate sweep; `moelab sweep FILE` makes one");
  t.get("/api/v1/experiments/99/lr-sweep", 404);
}

TEST_CASE("rates tried before stay in the report while they may be compared, and leave it with other settings") {
  SweptHome t;
  const json first = t.sweep({{"rates", {1e-3}}, {"steps", 20}, {"warmup", 2}});
  const std::string path = "/api/v1/experiments/" + first.at("experiments")[0].at("id").dump() + "/lr-sweep";
  const auto rates = [&](std::size_t variant) {
    std::vector<double> list;
    const json report = t.get(path);
    for (const json& row : report.at("variants").at(variant).at("rates")) list.push_back(row.at("rate").get<double>());
    return list;
  };
  t.sweep({{"rates", {1e-2}}, {"steps", 20}, {"warmup", 2}});
  CHECK(rates(0) == std::vector<double>{1e-3, 1e-2});
  t.sweep({{"rates", {1e-1}}, {"steps", 30}, {"warmup", 2}}, 201, {{"only", {"none"}}});
  CHECK(rates(1) == std::vector<double>{1e-1});        // none, now listed after bias
  CHECK(rates(0) == std::vector<double>{1e-3, 1e-2});  // bias is as it was
  const std::string stale = first.at("runs")[0].at("id").dump();
  CHECK(t.get("/api/v1/runs/" + stale).at("aliases").empty());
  // Nor does a rebuilt database list it.
  CHECK(json::parse(test::read_text(t.home.paths.listings(std::stoll(stale)))).at("listings").empty());
}

TEST_CASE("a sweep is reported for its own study and profile only, and other resources change no rate") {
  SweptHome t;
  const json rates = {{"rates", {1e-3}}, {"steps", 20}, {"warmup", 2}};
  const std::string study = "/api/v1/experiments/" + t.submit().at("experiments")[0].at("id").dump() + "/lr-sweep";
  t.sweep(rates, 201, {{"profile", "short"}});
  std::string other = test::kMatrix;
  other.replace(other.find("name: small"), 11, "name: other");
  t.sweep(rates, 201, {{"source", other}});
  t.get(study, 404);
  t.sweep(rates);
  CHECK(t.get(study).at("variants")[0].at("rates").size() == 1);
  t.sweep({{"rates", {1e-2}}, {"steps", 20}, {"warmup", 2}}, 201, {{"overrides", {"resources.max_restarts=1", "checkpoint.keep_last=1"}}});
  CHECK(t.get(study).at("variants")[0].at("rates").size() == 2);
}

TEST_CASE("points of a matrix are variants of their own") {
  SweptHome t;
  const std::string source = std::string(test::kMatrix) + "    matrix: {train.beta1: [0.8, 0.9]}\n";
  const json submitted =
      t.sweep({{"rates", {1e-3, 1e-2}}, {"steps", 20}, {"warmup", 2}}, 201, {{"only", {"balance"}}, {"source", source}});
  const json report = t.get("/api/v1/experiments/" + submitted.at("experiments")[0].at("id").dump() + "/lr-sweep");
  REQUIRE(report.at("variants").size() == 6);
  CHECK(report.at("variants")[1].at("name") == "none,beta1=0.9");
  CHECK(report.at("variants")[1].at("rates").size() == 2);
}

TEST_CASE("a sweep without values, or with wrong ones, is refused and nothing is queued") {
  SweptHome t;
  const auto message = [&](const json& lr_sweep) { return t.sweep(lr_sweep, 400).at("error").dump(); };
  CHECK(message({{"rates", json::array()}}).find("name at least one learning rate") != std::string::npos);
  CHECK(message({{"rates", {0.0}}}).find("greater than 0") != std::string::npos);
  CHECK(message({{"rates", {"fast"}}}).find("must be a list of numbers") != std::string::npos);
  CHECK(message({{"steps", -5}}).find("whole number of steps") != std::string::npos);
  CHECK(message({{"warm_up", 5}}).find("did you mean 'warmup'?") != std::string::npos);
  CHECK(message("yes").find("must be true, or an object") != std::string::npos);
  CHECK(message({{"steps", 10}}).find("shorter than the 10 steps") != std::string::npos);
  t.post("/api/v1/experiments", t.submission({{"run_overrides", {{"balance/none", "train.lr=1"}}}}), 400);
  t.post("/api/v1/experiments", t.submission({{"run_overrides", {{"balance/nome", {"train.lr=1"}}}}}), 400);
  CHECK(t.get("/api/v1/runs").at("total") == 0);
}

TEST_CASE("what runs wait for is rewritten with each submission, so files that disagree leave no circle in the queue") {
  SweptHome t;
  const auto submit = [&](const std::string& variants, const std::string& only) {
    std::string source = test::kMatrix;
    source.replace(source.find("      none: {}\n"), std::string::npos, "      none: {}\n" + variants);
    return t.post("/api/v1/experiments", t.submission({{"source", source}, {"only", {only}}}), 201);
  };
  const auto waits_of = [&](const std::string& name) {
    return t.home.database.read([&](db::Connection& c) {
      std::vector<std::string> names;
      for (const db::Unmet& unmet : db::RunStore(c).unmet_dependencies()) {
        if (db::RunStore(c).get(unmet.run).name == name) names.push_back(unmet.on_name);
      }
      return names;
    });
  };
  CHECK(submit("      a: {train.lr: 0.1}\n      b: {train.lr: 0.2, depends_on: a}\n", "b").at("created") == 2);
  CHECK(waits_of("b") == std::vector<std::string>{"a"});
  CHECK(submit("      a: {train.lr: 0.1, depends_on: b}\n      b: {train.lr: 0.2}\n", "a").at("created") == 0);
  CHECK(waits_of("a") == std::vector<std::string>{"b"});
  CHECK(waits_of("b").empty());
}
