// The real moelab-worker: a killed or stopped run ends with the same bits as an uninterrupted one, and every end is
// journalled with its reason and exit code.
#include <doctest/doctest.h>

#include <sys/resource.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "core/error.h"
#include "tests/worker/train/small_run.h"
#include "tests/worker/train/worker_process.h"

namespace moelab::worker {
namespace {

using core::Event;
using core::EventType;
using test::read_events;
using test::read_file;
using test::TemporaryDirectory;
using test::WorkerProcess;
namespace fs = std::filesystem;

std::vector<std::string> train_arguments(const TemporaryDirectory& dir, const std::string& name, int attempt) {
  return {"train",
          "--run-dir",
          (dir.path() / name).string(),
          "--cache-dir",
          (dir.path() / "cache").string(),
          "--attempt",
          std::to_string(attempt),
          "--device",
          "cpu",
          "--threads",
          "1"};
}

WorkerProcess start(const TemporaryDirectory& dir, const std::string& name, int attempt) {
  return {train_arguments(dir, name, attempt), dir.path() / (name + ".log")};
}

Event last_event(const fs::path& run_dir) {
  const auto events = read_events(run_dir);
  REQUIRE(!events.empty());
  return events.back();
}

bool has_metrics_of(const fs::path& run_dir, std::int64_t step) {
  const auto events = test::events_of(run_dir, EventType::metrics);
  return !events.empty() && events.back().step >= step;
}

// What a reader of the journal keeps: a resumed attempt supersedes what earlier ones wrote after the step it resumed from.
// Timing is left out: it is the one thing that may differ.
std::vector<std::string> effective_records(const fs::path& run_dir) {
  std::vector<Event> kept;
  for (Event& event : read_events(run_dir)) {
    if (event.type == EventType::started) {
      const auto resumed_from = event.payload["resumed_from_step"].get<std::int64_t>();
      kept.erase(std::remove_if(kept.begin(), kept.end(), [&](const Event& old) { return old.step > resumed_from; }), kept.end());
    } else if (event.type == EventType::metrics || event.type == EventType::eval || event.type == EventType::expert_load) {
      kept.push_back(std::move(event));
    }
  }
  std::vector<std::string> lines;
  for (Event& event : kept) {
    if (event.payload.contains("values")) {
      for (const char* name : {"perf/tokens_per_sec", "perf/step_ms", "perf/peak_memory_mb"}) event.payload["values"].erase(name);
    }
    lines.push_back(core::to_string(event.type) + " " + std::to_string(event.step) + " " + event.payload.dump());
  }
  return lines;
}

constexpr std::int64_t kSteps = 240;

core::RunConfig long_config(const TemporaryDirectory& dir, bool moe) {
  core::RunConfig config = moe ? test::small_moe_config(dir) : test::small_config(dir);
  config.train.max_steps = kSteps;
  config.train.save_interval = 50;
  config.train.eval_interval = 40;
  return config;
}

TEST_CASE("killed and resumed, a run ends with the same bits as an uninterrupted one") {
  for (const bool moe : {false, true}) {
    for (const int signal : {SIGKILL, SIGTERM}) {
      CAPTURE(moe);
      CAPTURE(signal);
      const TemporaryDirectory dir;
      const core::RunConfig config = long_config(dir, moe);
      test::write_run(dir, "whole", config);
      test::write_run(dir, "broken", config);
      REQUIRE(start(dir, "whole", 1).wait() == core::kExitDone);

      const fs::path broken = dir.path() / "broken";
      {
        WorkerProcess worker = start(dir, "broken", 1);
        REQUIRE(worker.wait_until([&] { return has_metrics_of(broken, 60); }));
        for (int i = 0; i < 50; ++i) worker.send(signal);  // a second SIGTERM is no reason to leave the checkpoint unwritten
        REQUIRE(worker.wait() == (signal == SIGKILL ? -SIGKILL : core::kExitPreempted));
      }
      REQUIRE(!has_metrics_of(broken, kSteps));  // it was really in the middle
      if (signal == SIGTERM) CHECK(last_event(broken).payload["status"] == "preempted");
      REQUIRE(start(dir, "broken", 2).wait() == core::kExitDone);

      const auto started = test::events_of(broken, EventType::started);
      REQUIRE(started.size() == 2);
      CHECK(started[1].attempt == 2);
      const auto resumed_from = started[1].payload["resumed_from_step"].get<std::int64_t>();
      CHECK(resumed_from >= 50);
      if (signal == SIGKILL) CHECK(resumed_from % 50 == 0);
      CHECK(effective_records(broken) == effective_records(dir.path() / "whole"));
      const std::string last = "checkpoints/step_00000240/";
      for (const char* file : {"model.safetensors", "state.safetensors"}) {
        const std::string expected = read_file(dir.path() / "whole" / last / file);
        CHECK(!expected.empty());
        const bool same_bytes = read_file(broken / last / file) == expected;
        CHECK_MESSAGE(same_bytes, file);
      }
    }
  }
}

TEST_CASE("a finished run that is started again says so and trains nothing") {
  const TemporaryDirectory dir;
  test::write_run(dir, "run", test::small_config(dir));
  REQUIRE(start(dir, "run", 1).wait() == core::kExitDone);
  const Event first = last_event(dir.path() / "run");
  CHECK(first.payload["status"] == "completed");
  CHECK(first.payload["values"]["perf/peak_memory_mb"] > 1);
  const auto records = effective_records(dir.path() / "run");
  REQUIRE(start(dir, "run", 2).wait() == core::kExitDone);
  CHECK(last_event(dir.path() / "run").payload["values"] == first.payload["values"]);
  CHECK(effective_records(dir.path() / "run") == records);
}

TEST_CASE("a damaged newest checkpoint is reported and the run goes on from the one before it") {
  const TemporaryDirectory dir;
  const core::RunConfig config = test::small_moe_config(dir);
  test::write_run(dir, "run", config);
  REQUIRE(start(dir, "run", 1).wait() == core::kExitDone);
  const fs::path newest = dir.path() / "run/checkpoints/step_00000020";
  const std::string expected = read_file(newest / "model.safetensors");
  fs::resize_file(newest / "state.safetensors", 100);
  REQUIRE(start(dir, "run", 2).wait() == core::kExitDone);
  const auto alerts = test::events_of(dir.path() / "run", EventType::alert);
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].payload["code"] == "checkpoint_damaged");
  CHECK(test::events_of(dir.path() / "run", EventType::started)[1].payload["resumed_from_step"] == 18);
  CHECK(read_file(newest / "model.safetensors") == expected);
}

TEST_CASE("every end has its reason and exit code") {
  const TemporaryDirectory dir;
  const auto end_of = [&](const std::string& name) {
    const int code = start(dir, name, 1).wait();
    const Event last = last_event(dir.path() / name);
    REQUIRE(last.type == EventType::finished);
    return std::to_string(code) + " " + last.payload["status"].get<std::string>() + " " + last.payload["reason"].get<std::string>() + " " +
           last.payload["message"].get<std::string>();
  };
  core::RunConfig config = test::small_config(dir);
  config.data.tokens = (dir.path() / "none.npy").string();
  test::write_run(dir, "missing", config);
  CHECK(end_of("missing") == "2 failed data data.tokens: no such file: " + config.data.tokens);

  config = test::small_config(dir);
  config.model.vocab_size = 20;
  test::write_run(dir, "vocabulary", config);
  CHECK(end_of("vocabulary").find("is outside model.vocab_size 20") != std::string::npos);

  config = test::small_config(dir);
  config.train.lr = 1e30;
  config.train.grad_clip = 0;
  config.train.warmup_steps = 0;
  test::write_run(dir, "diverged", config);
  CHECK(end_of("diverged").substr(0, 20) == "1 failed non_finite ");

  config = test::small_config(dir);
  test::write_run(dir, "damaged", config);
  REQUIRE(start(dir, "damaged", 1).wait() == core::kExitDone);
  for (const auto& item : fs::directory_iterator(dir.path() / "damaged/checkpoints")) fs::resize_file(item.path() / "model.safetensors", 9);
  const std::string end = end_of("damaged");
  CHECK(end.substr(0, 51) == "5 failed storage no checkpoint of this run can be r");
}

TEST_CASE("a worker that finds no memory says so") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  config.train.max_steps = 1'000'000;
  config.train.save_interval = 1'000'000;
  config.train.eval_interval = 50;
  test::write_run(dir, "run", config);
  WorkerProcess worker = start(dir, "run", 1);
  REQUIRE(worker.wait_until([&] { return has_metrics_of(dir.path() / "run", 20); }));
  const rlimit limit{1 << 20, 1 << 20};  // far below what it holds already: the next block of memory is refused
  REQUIRE(::prlimit(worker.pid(), RLIMIT_AS, &limit, nullptr) == 0);
  REQUIRE(::prlimit(worker.pid(), RLIMIT_DATA, &limit, nullptr) == 0);
  worker.send(SIGTERM);  // it saves, which takes memory it does not have
  CHECK(worker.wait() == core::kExitRunFailed);
  const Event end = last_event(dir.path() / "run");
  CHECK(end.payload["status"] == "failed");
  CHECK(end.payload["reason"] == "out_of_memory");
}

TEST_CASE("a checkpoint that fails half-way is left out, told, and tried again at the next interval") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  config.train.max_steps = 10'000'000;
  config.train.save_interval = config.train.log_interval = 100;
  config.train.eval_interval = 10'000'000;
  test::write_run(dir, "run", config);
  const fs::path run = dir.path() / "run";
  WorkerProcess worker = start(dir, "run", 1);
  REQUIRE(worker.wait_until([&] { return !test::events_of(run, EventType::checkpoint).empty(); }));
  const auto limit_files_to = [&](rlim_t bytes) {
    const rlimit limit{bytes, RLIM_INFINITY};
    REQUIRE(::prlimit(worker.pid(), RLIMIT_FSIZE, &limit, nullptr) == 0);
  };
  const auto failures = [&] { return test::events_of(run, EventType::alert).size(); };
  // Below the size of the moments' file and far above that of the journal.
  limit_files_to(fs::file_size(run / "checkpoints" / "step_00000100" / "model.safetensors"));
  REQUIRE(worker.wait_until([&] { return failures() > 0; }));
  CHECK(test::events_of(run, EventType::alert)[0].payload["code"] == "checkpoint_failed");
  limit_files_to(RLIM_INFINITY);
  const auto saved = test::events_of(run, EventType::checkpoint).size();
  REQUIRE(worker.wait_until([&] { return test::events_of(run, EventType::checkpoint).size() > saved; }));
  worker.send(SIGTERM);
  CHECK(worker.wait() == core::kExitPreempted);
}

TEST_CASE("text in, text out: a run on stories, then generation from it") {
  const TemporaryDirectory dir;
  std::string lines;
  for (int i = 0; i < 60; ++i) lines += "{\"text\": \"The hen and the fox ran home, story " + std::to_string(i) + ".\"}\n";
  core::RunConfig config = test::small_config(dir);
  config.data.tokens.clear();
  config.data.val_tokens.clear();
  config.data.path = {dir.write("corpus/s.jsonl", lines)};
  config.model.vocab_size = 300;
  config.train.max_steps = 10;
  test::write_run(dir, "run", config);
  REQUIRE(start(dir, "run", 1).wait() == core::kExitDone);
  const auto progress = test::events_of(dir.path() / "run", EventType::progress);
  CHECK(!progress.empty());
  CHECK(read_events(dir.path() / "run").front().type == EventType::progress);

  const auto generate = [&](const fs::path& from, const std::string& output) {
    WorkerProcess worker(
        {"generate", "--from", from.string(), "--prompt", "The hen", "--greedy", "--max-new-tokens", "8", "--json", "--threads", "1"},
        dir.path() / output);
    CHECK(worker.wait() == core::kExitDone);
    return nlohmann::json::parse(read_file(dir.path() / output));
  };
  const auto from_run = generate(dir.path() / "run", "one.json");
  const auto from_checkpoint = generate(dir.path() / "run/checkpoints/step_00000010", "two.json");
  CHECK(from_run["text"].get<std::string>().substr(0, 7) == "The hen");
  CHECK(from_run["tokens"] == from_checkpoint["tokens"]);

  int number = 0;
  const auto lines_of = [&](const std::vector<std::string>& options, int expected) {
    const fs::path output = dir.path() / ("batch_" + std::to_string(++number));
    std::vector<std::string> arguments{"generate", "--from", (dir.path() / "run").string(), "--max-new-tokens", "6", "--threads", "1"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    WorkerProcess worker(arguments, output);
    CHECK(worker.wait() == expected);
    return read_file(output);
  };
  // One text each, in the order of the prompts, the same from the command line, from lines and from JSON lines.
  const std::string plain = dir.write("prompts.txt", "The hen\n\n  \nThe fox ran\r\nA story\n");
  const std::string json =
      dir.write("prompts.jsonl", "{\"prompt\": \"The hen\"}\n{\"prompt\": \"The fox ran\", \"id\": 7}\n{\"prompt\": \"A story\"}");
  const std::string typed = lines_of({"--json", "--prompt", "The hen", "--prompt", "The fox ran", "--prompt", "A story"}, 0);
  CHECK(lines_of({"--json", "--prompts-file", plain}, 0) == typed);
  CHECK(lines_of({"--json", "--prompts-file", json}, 0) == typed);
  std::istringstream records(typed);
  std::vector<std::string> prompts;
  for (std::string line; std::getline(records, line);) {
    const auto record = nlohmann::json::parse(line);
    prompts.push_back(record["prompt"]);
    CHECK(record["text"].get<std::string>().starts_with(record["prompt"].get<std::string>()));
    CHECK(record["tokens"].size() <= 6);
    CHECK(record["step"] == 10);
  }
  CHECK(prompts == std::vector<std::string>{"The hen", "The fox ran", "A story"});
  // Many prompts take several batches, and every one keeps a number of its own to draw from.
  std::string many;
  for (int i = 0; i < 40; ++i) many += "The hen\n";
  std::istringstream all(lines_of({"--json", "--prompts-file", dir.write("many.txt", many)}, 0));
  std::set<std::string> different;
  for (std::string line; std::getline(all, line);) different.insert(line);
  CHECK(different.size() == 40);
  CHECK(different.contains(typed.substr(0, typed.find('\n'))));
  const std::string text = lines_of({"--prompts-file", plain, "--greedy"}, 0);
  CHECK(text.find("\n---\n") != std::string::npos);

  const auto refused = [&](const std::vector<std::string>& options, const std::string& part) {
    CAPTURE(part);
    CHECK(lines_of(options, core::kExitUsage).find(part) != std::string::npos);
  };
  refused({}, "there is nothing to continue; give --prompt TEXT or --prompts-file FILE");
  refused({"--prompt", "x", "--prompts-file", plain}, "exclude each other");
  refused({"--prompts-file", "none.txt"}, "none.txt cannot be read");
  refused({"--prompts-file", dir.path().string()}, "cannot be read");
  refused({"--prompts-file", dir.write("empty.txt", " \n\n")}, "has no prompts");
  for (const char* wrong : {"{\"prompt\": 3}", "[1]", "The hen", "{\"text\": \"The hen\"}"}) {
    const std::string file = dir.write("wrong.jsonl", "{\"prompt\": \"The hen\"}\n" + std::string(wrong) + "\n");
    refused({"--prompts-file", file}, "wrong.jsonl:2: is no JSON object with a text \"prompt\"");
  }
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{{"--temperature", "-1"},
                                                                                      {"--temperature", "nan"},
                                                                                      {"--top-p", "1.5"},
                                                                                      {"--top-p", "nan"},
                                                                                      {"--top-k", "-2"},
                                                                                      {"--max-new-tokens", "-1"},
                                                                                      {"--seed", "-3"},
                                                                                      {"--seed", "x"}}) {
    CAPTURE(value);
    refused({"--prompt", "x", option, value}, option);
  }

  WorkerProcess nothing({"generate", "--from", (dir.path() / "corpus").string(), "--prompt", "x"}, dir.path() / "three.log");
  CHECK(nothing.wait() == core::kExitUsage);
  CHECK(read_file(dir.path() / "three.log").find("has no checkpoint yet") != std::string::npos);
}

TEST_CASE("a run that starts from another one's weights begins where it ended") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_moe_config(dir);
  test::write_run(dir, "first", config);
  REQUIRE(start(dir, "first", 1).wait() == core::kExitDone);
  config.train.init_from = (dir.path() / "first").string();
  config.train.max_steps = 1;
  config.train.warmup_steps = 1;  // the first step then has rate 0 and moves no weight, nor is a bias update due
  test::write_run(dir, "second", config);
  REQUIRE(start(dir, "second", 1).wait() == core::kExitDone);
  const auto loss = [&](const char* name) {
    return test::events_of(dir.path() / name, EventType::eval).back().payload["values"]["eval/loss"].get<double>();
  };
  CHECK(loss("second") == loss("first"));
  config.model.intermediate_size = 32;
  config.moe.moe_intermediate_size = 16;
  test::write_run(dir, "third", config);
  CHECK(start(dir, "third", 1).wait() == core::kExitUsage);
}

TEST_CASE("a mixture upcycled from a dense run begins where that ended, trains on and can be resumed") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  test::write_run(dir, "dense", config);
  REQUIRE(start(dir, "dense", 1).wait() == core::kExitDone);
  config.moe.num_experts = 4;
  config.train.init_from = (dir.path() / "dense").string();
  config.train.upcycle = true;
  config.train.upcycle_noise = 0;
  config.train.eval_interval = 1;
  config.train.warmup_steps = 1;  // the first step then has rate 0 and moves no weight
  test::write_run(dir, "mixture", config);
  REQUIRE(start(dir, "mixture", 1).wait() == core::kExitDone);
  const auto loss = [&](const char* name, std::size_t at) {
    return test::events_of(dir.path() / name, EventType::eval).at(at).payload["values"]["eval/loss"].get<double>();
  };
  CHECK(loss("mixture", 0) == doctest::Approx(loss("dense", 2)).epsilon(1e-6));
  CHECK(loss("mixture", 19) < loss("mixture", 0));
  CHECK(start(dir, "mixture", 2).wait() == core::kExitDone);
}

TEST_CASE("prepare writes token files that a run can train on") {
  const TemporaryDirectory dir;
  std::string lines;
  for (int i = 0; i < 60; ++i) lines += "{\"text\": \"The hen and the fox ran home, story " + std::to_string(i) + ".\"}\n";
  const fs::path out = dir.path() / "out";
  WorkerProcess worker({"prepare", "--path", dir.write("corpus/s.jsonl", lines), "--out", out.string(), "--vocab-size", "300",
                        "--block-size", "16", "--cache-dir", (dir.path() / "cache").string(), "--json"},
                       dir.path() / "prepare.log");
  REQUIRE(worker.wait() == core::kExitDone);
  core::RunConfig config = test::small_config(dir);
  config.data.tokens = (out / "train.bin").string();
  config.data.val_tokens = (out / "val.bin").string();
  config.data.tokenizer = (out / "tokenizer.model").string();
  config.model.vocab_size = 300;
  config.train.max_steps = 2;
  test::write_run(dir, "run", config);
  CHECK(start(dir, "run", 1).wait() == core::kExitDone);
}

}  // namespace
}  // namespace moelab::worker
