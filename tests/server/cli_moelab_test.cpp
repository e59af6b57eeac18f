// The real `moelab` executable, as a person types it: output, messages and exit codes. Commands that need a daemon talk to
// the front of http_fixture.h; commands that train are tested in tests/e2e.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

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

TEST_CASE("a wrong value: one short sentence with the option, what it takes and what was given; exit code 2") {
  const CommandLine shell;
  write_text(shell.file("empty.yaml"), "");
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"gc", "--keep-checkpoints", "-1"}, "--keep-checkpoints: must be a whole number from 0 to 1000000, not '-1'"},
      {{"gc", "--quota", "-3"}, "--quota: must be bytes, or a size with a unit such as 50GB, not '-3'"},
      {{"gc", "--quota", "5XB"}, "--quota: must be bytes, or a size with a unit such as 50GB, not '5XB'"},
      {{"gc", "--quota", "9999999PB"}, "not '9999999PB'"},
      {{"gc", "--older-than", "-1d"}, "--older-than: must be seconds, or a time with a unit such as 12h or 30d, not '-1d'"},
      {{"gc", "--older-than", "soon"}, "not 'soon'"},
      {{"webhook", "rm", "x"}, "ID: must be a whole number from 1 on, not 'x'"},
      {{"ls", "--limit", "x"}, "--limit: must be a whole number from 0 on, not 'x'"},
      {{"queue", "--limit", "1001"}, "--limit: must be a whole number from 0 to 1000, not '1001'"},
      {{"serve", "--log-format", "jsn"}, "--log-format: must be text or json, not 'jsn' (did you mean 'json'?)"},
      {{"serve", "--min-free", "much"}, "--min-free: must be bytes, or a size"},
      {{"sweep", "small.yaml", "--steps", "x"}, "--steps: must be a whole number from 1 on, not 'x'"},
      {{"score", "--model", "x", "--threads", "0"}, "--threads: must be a whole number from 1 on, not '0'"},
      {{"generate", "x", "--prompt", "x", "--temperature", "-1"}, "--temperature: must be a number from 0 on, not '-1'"},
      {{"generate", "x", "--prompt", "x", "--seed", std::string(400, '9')}, "--seed: must be a whole number from 0 on, not '9999"},
      {{"hold", "--reason", "two\nlines"}, "--reason: must be one line without control characters"},
      {{"drain", "--reason", std::string(201, 'x')}, "--reason: must have at most 200 characters, not 201"},
      {{"gpus", "disable", "cpu0", "--reason", "\x1b[2J"}, "--reason: must be one line without control characters"},
      {{"release", "--reason", "noon"}, "--reason is no option of `moelab release`"},
      {{"plan", "empty.yaml"}, "Cannot read empty.yaml: it is empty. Name a matrix file"},
  };
  for (const auto& [arguments, part] : cases) {
    const Said said = shell.run(arguments);
    CAPTURE(said.err);
    CHECK(said.code == 2);
    CHECK_MESSAGE(has(said.err, part), part);
    CHECK(said.err.size() < 200);
  }
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
  CHECK(has(shell.run({"cancel", "--experiment", "balance"}).out, "cancel: 1 run, 2 left alone"));

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
  const Said slip = shell.run({"gpus", "disable", "cpu0", "cpu9"});
  CHECK(slip.code == 4);
  CHECK(has(slip.err, "There is no device 'cpu9'"));
  CHECK(has(slip.err, "`moelab gpus` lists them"));
  CHECK(daemon.get("/api/v1/devices").at("devices").at(0).at("state") == "free");  // a slip in the last name changes nothing
  CHECK(shell.run({"gpus", "disable", "cpu0/../../runs/1"}).code == 4);
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

TEST_CASE("priority and force take runs or a whole experiment") {
  Served daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  REQUIRE(shell.run({"submit", "small.yaml"}).code == 0);
  daemon.finish(1, core::RunState::completed);
  CHECK(has(shell.run({"priority", "10", "penalty", "bias"}).out, "bias (3): queued"));
  CHECK(daemon.get("/api/v1/runs/3").at("priority") == 10);
  const Said ended = shell.run({"priority", "10", "none", "bias"});
  CHECK(ended.code == 4);
  CHECK(has(ended.err, "run 1 (none) is completed"));
  CHECK(has(ended.out, "bias (3)"));
  CHECK(has(shell.run({"priority", "4", "--experiment", "balance"}).out, "priority: 2 runs, 1 left alone."));
  CHECK(has(shell.run({"force", "-e", "balance", "--device", "cpu1"}).out, "force: 2 runs, 1 left alone."));
  CHECK(json::parse(shell.run({"force", "bias", "--json"}).out).at("runs").size() == 1);
  CHECK(shell.run({"force", "bias", "--device", "gpu9"}).code == 4);
  CHECK(shell.run({"priority", "4"}).code == 2);
}

TEST_CASE("one of a thing is not called several") {
  Served daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  CHECK(has(shell.run({"plan", "small.yaml", "--only", "bias"}).out, "1 run, 1 to train"));
  const Said submitted = shell.run({"submit", "small.yaml", "--only", "bias"});
  CHECK(has(submitted.out, "balance: 1 run (1 queued)"));
  CHECK(has(submitted.out, "1 run queued, 0 known already"));
  daemon.finish(1, core::RunState::completed);
  CHECK(shell.run({"delete", "bias"}).out == "1 run deleted, with its files.\n");
}

TEST_CASE("a webhook's secret comes from a file too; an experiment that nobody has is remarked on") {
  Served daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  REQUIRE(shell.run({"submit", "small.yaml"}).code == 0);
  write_text(shell.file("secret"), "0123456789abcdef\nnot this line\n");
  const Said added = shell.run({"webhook", "add", "https://1.1.1.1/", "--secret-file", "secret", "-e", "balance", "--json"});
  CAPTURE(added.err);
  REQUIRE(added.code == 0);
  CHECK(json::parse(added.out).at("secret") == "0123456789abcdef");
  CHECK(added.err.empty());
  const Said slip = shell.run({"webhook", "add", "https://1.1.1.1/", "-e", "balanc"});
  CHECK(slip.code == 0);
  CHECK(has(slip.err, "there is no experiment 'balanc' yet (did you mean 'balance'?)"));
  write_text(shell.file("nothing"), "");
  for (const char* file : {"nothing", "missing", "-"}) {
    const Said refused = shell.run({"webhook", "add", "https://1.1.1.1/", "--secret-file", file});
    CHECK(refused.code == 2);
    CHECK(has(refused.err, "There is no secret in "));
  }
  CHECK(shell.run({"webhook", "add", "https://1.1.1.1/", "--secret-file", "secret", "--secret", "0123456789abcdef"}).code == 2);
  CHECK(daemon.get("/api/v1/webhooks").at("webhooks").size() == 2);
}

TEST_CASE("waiting for a paused run says how it goes on") {
  Served daemon;
  CommandLine shell;
  shell.use(daemon.server->url());
  REQUIRE(shell.run({"submit", "small.yaml"}).code == 0);
  daemon.post("/api/v1/runs/2/pause", json::object());
  for (const std::vector<std::string>& command : {std::vector<std::string>{"wait", "2"}, {"wait", "2", "--progress"}}) {
    Said said;
    std::thread waiting([&] { said = shell.run(command); });
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // several looks at it: the sentence is said once
    daemon.post("/api/v1/runs/2/cancel", json::object());
    waiting.join();
    const std::string& heard = command.size() == 2 ? said.err : said.out;
    const std::string sentence = "1 run is paused; `moelab resume 2` lets it go on.";
    REQUIRE(has(heard, sentence));
    CHECK(heard.find(sentence) == heard.rfind(sentence));
    daemon.post("/api/v1/runs/2/retry", json::object());
    daemon.post("/api/v1/runs/2/pause", json::object());
  }
}

TEST_CASE("only `health --url` prints the token") {
  const std::string token(64, 'b');
  const Served daemon(token);
  CommandLine shell;
  shell.use(daemon.server->url());
  const Said plain = shell.run({"health"}, token);
  CHECK(plain.code == 0);
  CHECK(has(plain.out, daemon.server->url()));
  CHECK_FALSE(has(plain.out, token));
  CHECK(has(shell.run({"health", "--url"}, token).out, "?token=" + token));
  const Said wrong = shell.run({"health"}, std::string(64, 'c'));
  CHECK(wrong.code == 3);
  CHECK(has(wrong.err, "The token that was sent is not the daemon's"));
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
