// A run on a disk that fills up: the real worker on a real small file system, which needs root to mount.
#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/worker/data/small_disk.h"
#include "tests/worker/train/small_run.h"
#include "tests/worker/train/worker_process.h"
#include "worker/train/checkpoint.h"

namespace moelab::worker {
namespace {

using core::EventType;
using test::events_of;
using test::SmallDisk;
using test::TemporaryDirectory;
using test::WorkerProcess;
namespace fs = std::filesystem;

// Trains until it is asked to leave; a checkpoint every few steps.
void write_endless_run(const TemporaryDirectory& data, const SmallDisk& disk) {
  core::RunConfig config = test::small_config(data);
  config.train.max_steps = 10'000'000;
  config.train.log_interval = config.train.save_interval = 10;
  config.train.eval_interval = 10'000'000;
  test::write_run(disk.directory(), "run", config);
}

WorkerProcess start(const TemporaryDirectory& data, const SmallDisk& disk, int attempt) {
  return {{"train", "--run-dir", (disk.directory().path() / "run").string(), "--cache-dir", (data.path() / "cache").string(), "--attempt",
           std::to_string(attempt), "--threads", "1"},
          data.path() / "log"};
}

std::vector<core::Event> low_disk_alerts(const fs::path& run) {
  auto alerts = events_of(run, EventType::alert);
  std::erase_if(alerts, [](const core::Event& alert) { return alert.payload["code"] != "disk_low"; });
  return alerts;
}

TEST_CASE("without room for a checkpoint a run trains on, saves again when there is room, and never gives up the older ones") {
  const TemporaryDirectory data;
  const SmallDisk disk(80);
  if (!disk.mounted()) {
    MESSAGE(disk.skip_reason());
    return;
  }
  write_endless_run(data, disk);
  const fs::path run = disk.directory().path() / "run";
  const auto saved = [&] { return events_of(run, EventType::checkpoint).size(); };
  {
    WorkerProcess worker = start(data, disk, 1);
    REQUIRE(worker.wait_until([&] { return saved() >= 2; }));
    disk.fill(CheckpointStore::kDiskReserve);
    REQUIRE(worker.wait_until([&] { return !low_disk_alerts(run).empty(); }));
    const std::string message = low_disk_alerts(run)[0].payload["message"];
    CHECK(message.find("MB free; a checkpoint takes 1 MB and 68 MB stay free") != std::string::npos);
    CHECK(message.find("Free some space") != std::string::npos);
    CHECK(find_checkpoint(run));
    const auto logged = [&] { return events_of(run, EventType::metrics).size(); };
    const std::size_t logged_before = logged();
    REQUIRE(worker.wait_until([&] { return logged() > logged_before + 5; }));  // as many checkpoints left out
    CHECK(low_disk_alerts(run).size() == 1);
    disk.empty();
    const std::size_t before = saved();
    REQUIRE(worker.wait_until([&] { return saved() > before; }));
    disk.fill(CheckpointStore::kDiskReserve);
    const std::size_t alerts = low_disk_alerts(run).size();
    REQUIRE(worker.wait_until([&] { return low_disk_alerts(run).size() > alerts; }));
    worker.send(SIGTERM);
    CHECK(worker.wait() == core::kExitStorage);
  }
  const core::Event end = events_of(run, EventType::finished).back();
  CHECK(end.payload["status"] == "failed");
  CHECK(end.payload["reason"] == "storage");
  CHECK(end.payload["message"].get<std::string>().find("then retry the run: it goes on from step") != std::string::npos);

  disk.empty();
  const std::int64_t newest = read_checkpoint(*find_checkpoint(run)).state.step;
  WorkerProcess worker = start(data, disk, 2);
  REQUIRE(worker.wait_until([&] { return events_of(run, EventType::started).size() == 2; }));
  CHECK(events_of(run, EventType::started).back().payload["resumed_from_step"] == newest);
  worker.send(SIGTERM);
  CHECK(worker.wait() == core::kExitPreempted);
}

TEST_CASE("when the disk cannot take the journal any more the worker leaves, and no line is torn") {
  const TemporaryDirectory data;
  const SmallDisk disk(80);
  if (!disk.mounted()) {
    MESSAGE(disk.skip_reason());
    return;
  }
  write_endless_run(data, disk);
  const fs::path run = disk.directory().path() / "run";
  {
    WorkerProcess worker = start(data, disk, 1);
    REQUIRE(worker.wait_until([&] { return !events_of(run, EventType::checkpoint).empty(); }));
    disk.fill(0);
    CHECK(worker.wait() == core::kExitStorage);
  }
  const std::string journal = test::read_file(run / "events.jsonl");
  CHECK(journal.back() == '\n');
  std::int64_t seq = 0;
  for (const core::Event& event : test::read_events(run)) CHECK(event.seq == ++seq);  // every line is whole, none is missing
  CHECK(test::read_file(data.path() / "log").find("No space left on device; free some space") != std::string::npos);

  disk.empty();
  WorkerProcess worker = start(data, disk, 2);
  REQUIRE(worker.wait_until([&] { return events_of(run, EventType::started).size() == 2; }));
  CHECK(events_of(run, EventType::started).back().payload["resumed_from_step"] > 0);
}

}  // namespace
}  // namespace moelab::worker
