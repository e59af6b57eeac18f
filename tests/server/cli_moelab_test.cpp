// The real `moelab` executable, as a person types it: output, messages and exit codes. Commands that need a daemon talk to
// the front of http_fixture.h; commands that train are tested in tests/e2e.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/server/command_line.h"
#include "tests/server/http_fixture.h"

using namespace moelab;
using namespace moelab::test;
using nlohmann::json;

TEST_CASE("plan lists every run with its size, and needs no daemon") {
  const CommandLine shell;
  const Said said = shell.run({"plan", "small.yaml"});
  CAPTURE(said.err);
  REQUIRE(said.code == 0);
  for (const char* part : {"none", "penalty", "bias", "balance", "moe.lb_coeff=0.01", "3 runs, 3 to train", "planned"})
    CHECK_MESSAGE(has(said.out, part), part);
  CHECK_FALSE(has(said.out, "\033"));  // no colours off a terminal

  const json plan = json::parse(shell.run({"plan", "small.yaml", "--json", "--only", "pen*", "-s", "train.lr=0.25"}).out);
  REQUIRE(plan.at("runs").size() == 1);
  CHECK(plan.at("runs").at(0).at("config").at("train").at("lr") == 0.25);
  CHECK(plan.at("runs").at(0).at("tokens") == 40 * 8 * 32);
  const Said csv = shell.run({"plan", "small.yaml", "--csv"});
  CHECK(std::count(csv.out.begin(), csv.out.end(), '\n') == 4);
  CHECK_FALSE(std::filesystem::exists(shell.file("home/moelab.db")));  // a plan leaves no home behind
}

TEST_CASE("a wrong matrix: every problem with file, line and the nearest name; exit code 2") {
  const CommandLine shell;
  std::string source = kMatrix;
  source.replace(source.find("moe.lb_gamma"), 12, "moe.lb_gama");
  source.replace(source.find("hidden_size"), 11, "hiden_size");
  write_text(shell.file("wrong.yaml"), source);
  for (const char* verb : {"plan", "run"}) {
    CAPTURE(verb);
    const Said said = shell.run({verb, "wrong.yaml"});
    CHECK(said.code == 2);
    CHECK(has(said.err, "wrong.yaml:"));
    CHECK(has(said.err, "lb_gamma"));
    CHECK(has(said.err, "hidden_size"));
  }
}

TEST_CASE("wrong command lines: the nearest name and exit code 2") {
  const CommandLine shell;
  const auto says = [&](const std::vector<std::string>& arguments, const std::string& part) {
    const Said said = shell.run(arguments);
    CAPTURE(said.err);
    CHECK(said.code == 2);
    CHECK(has(said.err, part));
    CHECK(said.out.empty());
  };
  says({"shwo"}, "'show'");
  says({"plan", "small.yaml", "--profil", "x"}, "--profile");
  says({"plan"}, "FILE");
  says({"plan", "small.yaml", "extra.yaml"}, "extra.yaml");
  says({"plan", "missing.yaml"}, "missing.yaml");
  says({"plan", "."}, "directory");
  says({"plan", "small.yaml", "--profile", "nope"}, "nope");
  says({"plan", "small.yaml", "--only", "nothing*"}, "nothing*");
  says({"plan", "small.yaml", "--json", "--csv"}, "--");
  says({"data", "prepar"}, "'prepare'");
  says({"serve", "--port", "70000"}, "port");
  says({"wait"}, "--all");
  says({"export", ".", "-o", "out", "--format", "gguf"}, "--format");
  says({"export", "."}, "--out");
  says({"import", "missing", "-o", "out"}, "missing");
  says({"score", "--token", "ids.npy"}, "--tokens");
  says({"cancel"}, "--experiment");
  says({"generate", "a_run"}, "--prompt TEXT or --prompts-file FILE");
  says({"generate", "a_run", "--prompts-file", "missing.txt"}, "missing.txt");
  says({"generate", "a_run", "--prompts-file", "corpus.txt", "--prompt", "x"}, "--prompt");
  says({"generate", "a_run", "--prompt", "x", "--top-p", "2"}, "--top-p");
  says({}, "plan");
}

TEST_CASE("help is short and has examples") {
  const CommandLine shell;
  for (const char* verb : {"serve", "plan", "submit", "run", "ls", "show", "results", "logs", "wait", "cancel", "retry", "gpus", "health",
                           "generate", "export", "import", "score", "schema"}) {
    CAPTURE(verb);
    const Said said = shell.run({verb, "--help"});
    CHECK(said.code == 0);
    CHECK(has(said.out, std::string("moelab ") + verb));
    CHECK(has(said.out, "Examples:"));
    CHECK(std::count(said.out.begin(), said.out.end(), '\n') < 40);
  }
  CHECK(shell.run({"--help"}).code == 0);
  CHECK(has(shell.run({"--version"}).out, "."));
}

TEST_CASE("without a daemon: exit code 3 and how to start one") {
  CommandLine shell;
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"ls"}, {"show", "x"}, {"submit", "small.yaml"}, {"wait", "--all"}, {"gpus"}}) {
    const Said said = shell.run(command);
    CHECK(said.code == 3);
    CHECK(has(said.err, "moelab serve"));
  }
  shell.use("http://127.0.0.1:1");
  CHECK(shell.run({"ls"}).code == 3);
  shell.use("ftp://127.0.0.1");
  CHECK(shell.run({"ls"}).code == 2);
}

TEST_CASE("schema lists knobs, one group or one knob") {
  const CommandLine shell;
  const json all = json::parse(shell.run({"schema", "--json"}).out);
  CHECK(all.size() > 50);
  const Said group = shell.run({"schema", "moe"});
  CHECK(has(group.out, "moe.lb_gamma"));
  CHECK_FALSE(has(group.out, "train.lr"));
  // Every routing strategy stands there with what it means.
  const Said routing = shell.run({"schema", "moe.routing"});
  const json knob = json::parse(shell.run({"schema", "moe.routing", "--json"}).out).at(0);
  for (const auto& [name, doc] : knob.at("choice_docs").items()) CHECK(has(routing.out, doc.get<std::string>()));
  CHECK(knob.at("choice_docs").size() == knob.at("choices").size());
  const Said slip = shell.run({"schema", "trian"});
  CHECK(slip.code == 4);
  CHECK(has(slip.err, "'train'"));
}

TEST_CASE("runs are submitted, listed, shown, waited for, cancelled and retried") {
  Served daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  const Said submitted = shell.run({"submit", "small.yaml"});
  CAPTURE(submitted.err);
  REQUIRE(submitted.code == 0);
  CHECK(has(submitted.out, "3 runs queued, 0 known already"));
  CHECK(json::parse(shell.run({"submit", "small.yaml", "--json"}).out).at("reused") == 3);

  const json runs = json::parse(shell.run({"ls", "--json", "--sort", "id"}).out);
  REQUIRE(runs.size() == 3);
  const std::int64_t first = runs.at(0).at("id"), second = runs.at(1).at("id"), third = runs.at(2).at("id");
  daemon.add_metrics(first, 40, {{"train/loss", 1.0 / 3}, {"eval/loss", 4.25}});
  daemon.add_metrics(second, 40, {{"eval/loss", 4.0}});
  daemon.finish(first, core::RunState::completed);
  daemon.finish(second, core::RunState::completed);

  CHECK(has(shell.run({"ls"}).out, "completed"));
  CHECK(has(shell.run({"ls", "--experiments"}).out, "balance"));
  CHECK(json::parse(shell.run({"ls", "--json", "--state", "queued"}).out).size() == 1);
  CHECK(json::parse(shell.run({"ls", "--json", "--limit", "2"}).out).size() == 2);
  CHECK(shell.run({"ls", "--csv"}).out.starts_with("id,run,"));

  const json shown = json::parse(shell.run({"show", "none", "--json"}).out);
  CHECK(shown.at("id") == first);
  CHECK(shown.contains("config"));
  CHECK(has(shell.run({"show", "balance/none", "--config"}).out, "train.max_steps: 40"));
  const json series = json::parse(shell.run({"show", "none", "--series", "train/loss", "--json"}).out);
  CHECK(series.at("series").at(0).at("points").at(0) == json({40, 1.0 / 3}));  // full precision
  CHECK(has(shell.run({"show", "none", "--series", "train/loss", "--csv"}).out, "train/loss,40,0.3333333333333333\n"));
  CHECK(shell.run({"show", "none", "--series", "nothing"}).code == 4);

  const Said results = shell.run({"results", "balance"});
  CHECK(has(results.out, "none *"));
  CHECK(has(results.out, "-0.2500"));
  CHECK(json::parse(shell.run({"results", "--json"}).out).at(0).at("rows").size() == 3);

  CHECK(shell.run({"wait", "none", "penalty"}).code == 0);
  CHECK(shell.run({"cancel", "bias"}).code == 0);
  const Said waited = shell.run({"wait", "--all", "--progress"});
  CHECK(waited.code == 1);  // one did not complete
  CHECK(has(waited.out, "cancelled"));
  CHECK(shell.run({"retry", "bias"}).code == 0);
  CHECK(daemon.get("/api/v1/runs/" + std::to_string(third)).at("state") == "queued");
  CHECK(shell.run({"retry", "none"}).code == 4);
  const Said twice = shell.run({"rerun", "penalty", "penalty"});
  CHECK(twice.code == 0);
  CHECK(twice.out.find("penalty") == twice.out.rfind("penalty"));
  CHECK(shell.run({"cancel", "penalty"}).code == 0);
  CHECK(has(shell.run({"cancel", "--experiment", "balance"}).out, "cancel: 1 runs, 2 left alone"));

  write_text(daemon.home.paths.log(first), "first\nsecond\n");
  CHECK(shell.run({"logs", "none", "--tail", "1"}).out == "second\n");
  CHECK(shell.run({"logs", "none", "-f"}).out == "first\nsecond\n");
  CHECK(has(shell.run({"gpus"}).out, "cpu0"));
  CHECK(json::parse(shell.run({"gpus", "--json"}).out).at("devices").size() == 2);
  CHECK(shell.run({"health", "--url"}).out == daemon.server->url() + "\n");
}

TEST_CASE("devices are disabled and enabled by hand") {
  Served daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  const Said disabled = shell.run({"gpus", "disable", "cpu0", "cpu1", "--reason", "kept for the demo"});
  CAPTURE(disabled.err);
  CHECK(disabled.code == 0);
  CHECK(disabled.out ==
        "cpu0: disabled - cpu0 is disabled by hand: kept for the demo\ncpu1: disabled - cpu1 is disabled by hand: kept for the demo\n");
  CHECK(has(shell.run({"gpus"}).out, "kept for the demo"));
  CHECK(shell.run({"gpus", "enable", "cpu0", "cpu1"}).out == "cpu0: free\ncpu1: free\n");
  CHECK(shell.run({"gpus", "enable", "gpu9"}).code == 4);
  CHECK(has(shell.run({"gpus", "disabel", "cpu0"}).err, "'disable'"));
  CHECK(shell.run({"gpus", "enable"}).code == 2);
}

TEST_CASE("unknown and ambiguous names: exit code 4, the nearest name or the candidates") {
  Served daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  REQUIRE(shell.run({"submit", "small.yaml"}).code == 0);
  const Said slip = shell.run({"show", "penalti"});
  CHECK(slip.code == 4);
  CHECK(has(slip.err, "'penalty'"));
  CHECK(shell.run({"show", "99"}).code == 4);
  CHECK(shell.run({"cancel", "99"}).code == 4);
  CHECK(shell.run({"results", "balanc"}).code == 4);

  REQUIRE(shell.run({"submit", "small.yaml", "-s", "train.lr=0.5"}).code == 0);  // the same names, other runs
  const Said ambiguous = shell.run({"show", "penalty"});
  if (ambiguous.code != 0) {
    CHECK(ambiguous.code == 4);
    CHECK(has(ambiguous.err, "several runs"));
    CHECK(has(ambiguous.err, "balance/penalty"));
  }
}

TEST_CASE("a token is taken from the environment, and its absence is exit code 3") {
  const std::string token(64, 'b');
  const Served daemon(token);
  CommandLine shell;
  shell.use(daemon.server->url());
  const Said refused = shell.run({"ls"});
  CHECK(refused.code == 3);
  CHECK(has(refused.err, "MOELAB_TOKEN"));
}
