// Heartbeat: touched by work, at most once a period, and only while work gets done.
#include "worker/train/heartbeat.h"

#include <doctest/doctest.h>

#include "tests/worker/train/train_here.h"
#include "tests/worker/train/worker_process.h"

namespace moelab::worker {
namespace {

using test::TemporaryDirectory;
using test::WorkerProcess;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

TEST_CASE("a beat touches the file once the period has passed, and not before") {
  const TemporaryDirectory dir;
  const fs::path file = dir.path() / "heartbeat";
  for (const auto& [period, touches] : {std::pair(0ms, true), std::pair(std::chrono::milliseconds(1h), false)}) {
    Heartbeat heartbeat(dir.path(), period);
    const auto old = fs::file_time_type::clock::now() - 1h;
    fs::last_write_time(file, old);
    const auto before = fs::last_write_time(file);
    heartbeat.beat();
    CHECK((fs::last_write_time(file) > before) == touches);
  }
  Heartbeat(dir.path() / "none").beat();  // no directory, no file, no error
}

TEST_CASE("every micro-batch of training and of evaluation is told") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  config.train.batch_size = 6;
  config.train.grad_accum = 3;
  config.train.max_steps = 4;
  config.train.eval_interval = 2;
  const auto outcome = test::train(config, dir, "run");
  // 4 steps of 3 micro-batches, and twice 6 validation blocks in batches of 2.
  CHECK(outcome.pieces_of_work >= 4 * 3 + 2 * 3);
  config.train.eval_interval = 4;
  CHECK(test::train(config, dir, "less").pieces_of_work <= outcome.pieces_of_work - 3);
}

TEST_CASE("the heartbeat of a worker goes on while it trains and stops while it hangs") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  config.train.max_steps = 1'000'000;
  config.train.log_interval = config.train.eval_interval = config.train.save_interval = 1'000'000;
  test::write_run(dir, "run", config);
  const fs::path run = dir.path() / "run", file = run / "heartbeat";
  WorkerProcess worker({"train", "--run-dir", run.string(), "--cache-dir", (dir.path() / "cache").string(), "--threads", "1"},
                       dir.path() / "log");
  REQUIRE(worker.wait_until([&] { return !test::events_of(run, core::EventType::metrics).empty(); }));
  for (int beats = 0; beats < 2; ++beats) {
    const auto before = fs::last_write_time(file);
    CHECK(worker.wait_until([&] { return fs::last_write_time(file) > before; }));
  }
  // A stopped process has threads that do not run; what is seen here is that nothing else touches the file for it.
  worker.send(SIGSTOP);
  REQUIRE(worker.wait_until([&] { return worker.state() == 'T'; }));
  fs::last_write_time(file, fs::last_write_time(file) - 1h);
  const auto marked = fs::last_write_time(file);
  worker.send(SIGCONT);
  CHECK(worker.wait_until([&] { return fs::last_write_time(file) > marked; }));
}

}  // namespace
}  // namespace moelab::worker
