// moelab stats and moelab compare, as a person types them.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/server/command_line.h"
#include "tests/server/seeds_fixture.h"

using namespace moelab;
using namespace moelab::test;
using nlohmann::json;

TEST_CASE("stats: a table with deltas and verdicts, the noise, and what is left out") {
  SeedsServed daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  daemon.complete("none", {4.31, 4.35, 4.29});
  daemon.complete("penalty", {4.25, 4.30, 4.22});
  const Said said = shell.run({"stats", "balance"});
  CAPTURE(said.err);
  CAPTURE(said.out);
  REQUIRE(said.code == 0);
  std::string out = said.out;  // where the locale has the sign, it is printed
  for (std::size_t at = out.find("±"); at != std::string::npos; at = out.find("±")) out.replace(at, std::string("±").size(), "+-");
  for (const char* part :
       {"balance  eval/loss (nats, lower is better)", "delta against none (*)", "none *", "4.3167 +- 0.0306", "-0.0600 +- 0.0248", "0.0091",
        "distinguishable at n = 3", "noise floor   0.0358 (pooled sd of 2 families, 4 degrees", "repeat noise  unknown"})
    CHECK_MESSAGE(has(out, part), part);
  CHECK_FALSE(has(said.out, "left out"));

  const Said csv = shell.run({"stats", "balance", "--csv"});
  CHECK(csv.out.starts_with("family,baseline,members,n,mean,sd,"));
  CHECK(std::count(csv.out.begin(), csv.out.end(), '\n') == 3);
  CHECK(json::parse(shell.run({"stats", "1", "--json"}).out).at("families").at(1).at("verdict") == "distinguishable");
}

TEST_CASE("stats: one seed has no spread, and runs left out are named by why") {
  SeedsServed daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  daemon.complete("none", {4.31});
  daemon.complete("penalty", {4.25});
  daemon.finish(daemon.run("penalty", 1), core::RunState::pruned);
  const Said said = shell.run({"stats", "balance"});
  CHECK(has(said.out, "n = 1: no spread is known"));
  CHECK(has(said.out, "1 pruned, 1 queued"));
  CHECK(has(said.out, "noise floor   unknown"));
  CHECK(has(said.out, "left out      1 pruned, 3 queued"));
  daemon.post("/api/v1/runs/" + std::to_string(daemon.run("none", 0)) + "/archive", json::object());
  CHECK(has(shell.run({"stats", "balance"}).out, "left out      1 pruned, 3 queued, 1 archived"));
  CHECK(shell.run({"stats", "balanc"}).code == 4);
  const Said slip = shell.run({"stats", "balance", "--metric", "eval/los"});
  CHECK(slip.code == 4);
  CHECK(has(slip.err, "'eval/loss'"));
  CHECK(shell.run({"stats"}).code == 2);
}

TEST_CASE("compare: the knobs in which runs differ and their metrics, side by side") {
  SeedsServed daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  daemon.complete("none", {4.31, 1.0 / 3});
  const Said said = shell.run({"compare", "none,seed=0", "none,seed=1", "penalty,seed=0"});
  CAPTURE(said.err);
  REQUIRE(said.code == 0);
  for (const char* part : {"penalty,seed=0", "moe.lb_coeff", "0.01", "seed", "eval/loss", "4.31", "0.333333", "queued"})
    CHECK_MESSAGE(has(said.out, part), part);
  CHECK_FALSE(has(said.out, "hidden_size"));  // they agree on it
  const json whole = json::parse(shell.run({"compare", "none,seed=0", "penalty,seed=0", "--json"}).out);
  CHECK(whole.at("knobs") == json({{"moe.lb_coeff", {0, 0.01}}}));
  CHECK(whole.at("metrics").at("eval/loss") == json({4.31, nullptr}));
  CHECK(whole.at("runs").at(1).at("name") == "penalty,seed=0");
  CHECK(has(shell.run({"compare", "1", "2", "--csv"}).out, "0.3333333333333333\n"));
  CHECK(shell.run({"compare", "1"}).code == 2);
  const Said twice = shell.run({"compare", "1", "none,seed=0"});
  CHECK(twice.code == 2);
  CHECK(has(twice.err, "named already"));
  CHECK(shell.run({"compare", "1", "99"}).code == 4);
}
