// Statistics of an experiment from submission to answer: families, pairs, noise and what is left out, over HTTP.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "server/http/openapi_document.h"
#include "tests/server/http_schema_check.h"
#include "tests/server/seeds_fixture.h"

using namespace moelab;
using namespace moelab::test;
using nlohmann::json;

namespace {

void check_contract(const json& answer) {
  const json schema = {{"$ref", "#/components/schemas/Statistics"}};
  for (const std::string& problem : SchemaCheck(server::http::openapi_document()).problems(answer, schema)) FAIL_CHECK(problem);
}

}  // namespace

TEST_CASE("statistics before anything has run: families without values") {
  const SeedsServed daemon;
  const json answer = daemon.get(daemon.path);
  check_contract(answer);
  CHECK(answer.at("metric") == "eval/loss");
  CHECK(answer.at("unit") == "nats");
  CHECK(answer.at("direction") == "down");
  REQUIRE(answer.at("families").size() == 2);
  CHECK(answer.at("families").at(0).at("family") == "none");
  CHECK(answer.at("families").at(0).at("members") == 3);
  CHECK(answer.at("families").at(1).at("verdict") == "no_pairs");
  CHECK(answer.at("excluded").at("not_completed") == json({{"queued", 6}}));
}

TEST_CASE("statistics pair runs by seed and say what can be told apart") {
  SeedsServed daemon;
  daemon.complete("none", {4.31, 4.35, 4.29});
  daemon.complete("penalty", {4.25, 4.30, 4.22});
  const json answer = daemon.get(daemon.path + "?metric=eval/loss");
  check_contract(answer);
  const json& penalty = answer.at("families").at(1);
  CHECK(penalty.at("n") == 3);
  CHECK(penalty.at("baseline") == "none");
  CHECK(penalty.at("delta").at("mean").get<double>() == doctest::Approx(-0.06));
  CHECK(penalty.at("delta").at("p").get<double>() == doctest::Approx(0.00913261));  // as in statistics_test.cpp
  CHECK(penalty.at("verdict") == "distinguishable");
  CHECK(answer.at("families").at(0).at("is_baseline") == true);
  CHECK(answer.at("noise").at("seeds").at("sd").get<double>() == doctest::Approx(0.0358236));
  CHECK(answer.at("noise").at("repeats").at("sd").is_null());
  CHECK(answer.at("excluded").at("total") == 0);
}

TEST_CASE("statistics count what they leave out") {
  SeedsServed daemon;
  daemon.complete("none", {4.31, 4.35, 4.29});
  daemon.complete("penalty", {4.25, std::numeric_limits<double>::quiet_NaN()});
  daemon.finish(daemon.run("penalty", 2), core::RunState::pruned);
  const json answer = daemon.get(daemon.path);
  check_contract(answer);
  const json& penalty = answer.at("families").at(1);
  CHECK(penalty.at("n") == 1);
  CHECK(penalty.at("verdict_text") == "n = 1: no spread is known");
  CHECK(penalty.at("excluded").at("diverged") == 1);
  CHECK(penalty.at("excluded").at("not_completed") == json({{"pruned", 1}}));
}

TEST_CASE("repeats of one run give the repeat noise, from the journals of its attempts") {
  SeedsServed daemon;
  const std::int64_t run = daemon.run("none", 0);
  daemon.train(run, 4.0);
  daemon.train(run, 4.5);
  const json answer = daemon.get(daemon.path);
  check_contract(answer);
  CHECK(answer.at("noise").at("repeats").at("sd").get<double>() == doctest::Approx(0.5 / std::sqrt(2.0)));
  CHECK(answer.at("noise").at("repeats").at("groups") == 1);
  CHECK(answer.at("families").at(0).at("mean") == 4.5);  // the newest attempt stands
}

TEST_CASE("archived runs count neither as values nor in the noise, unless they are asked for") {
  SeedsServed daemon;
  daemon.complete("none", {4.31, 4.35, 4.29});
  daemon.complete("penalty", {4.25, 4.30});
  const std::int64_t own = daemon.run("penalty", 2), base = daemon.run("none", 0);
  daemon.train(own, 4.0);
  daemon.train(own, 4.5);
  daemon.post("/api/v1/runs/archive", {{"ids", {own, base}}});
  const json answer = daemon.get(daemon.path);
  check_contract(answer);
  const json &none = answer.at("families").at(0), &penalty = answer.at("families").at(1);
  CHECK(none.at("n") == 2);
  CHECK(none.at("mean").get<double>() == doctest::Approx(4.32));
  CHECK(penalty.at("n") == 2);
  CHECK(penalty.at("members") == 3);
  CHECK(penalty.at("excluded").at("archived") == 1);
  CHECK(penalty.at("excluded").at("total") == 1);
  CHECK(penalty.at("delta").at("n") == 1);  // seed 1: there both runs count
  CHECK(answer.at("excluded").at("archived") == 2);
  CHECK(answer.at("noise").at("seeds").at("degrees") == 2);
  CHECK(answer.at("noise").at("repeats").at("groups") == 0);

  const json all = daemon.get(daemon.path + "?archived=true");
  check_contract(all);
  CHECK(all.at("families").at(1).at("n") == 3);
  CHECK(all.at("families").at(1).at("delta").at("n") == 3);
  CHECK(all.at("excluded").at("total") == 0);
  CHECK(all.at("noise").at("repeats").at("groups") == 1);
}

TEST_CASE("a metric that no run has reported is refused with the nearest name") {
  SeedsServed daemon;
  daemon.complete("none", {4.31});
  const json answer = daemon.get(daemon.path + "?metric=eval/los", 404);
  CHECK(answer.at("error").at("message").get<std::string>().find("did you mean 'eval/loss'") != std::string::npos);
  CHECK(daemon.get(daemon.path + "?metrics=eval/loss", 400).at("error").at("code") == "usage");
  CHECK(daemon.get("/api/v1/experiments/99/statistics", 404).at("error").at("code") == "not_found");
}
