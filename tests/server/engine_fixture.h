// Owns what the engine's tests share: a home of their own, a clock turned by hand, journals written line by line.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "core/clock.h"
#include "core/event.h"
#include "core/run_spec.h"
#include "db/database.h"
#include "db/experiment_store.h"
#include "db/metric_store.h"
#include "db/run_store.h"
#include "server/event_bus.h"
#include "server/ingest.h"
#include "server/paths.h"
#include "tests/db/fixtures.h"
#include "tests/db/temp_dir.h"

namespace moelab::test {

class ManualClock final : public core::Clock {
 public:
  core::TimePoint now() const override { return now_; }
  std::chrono::nanoseconds steady() const override { return steady_; }
  void advance(std::chrono::milliseconds by) {
    now_ += by;
    steady_ += by;
  }
  // Somebody sets the clock.
  void jump(std::chrono::milliseconds by) { now_ += by; }

 private:
  core::TimePoint now_ = at_s(0);
  std::chrono::nanoseconds steady_{};
};

// Appends the journal of one attempt, with its own seq numbers, as a worker does.
class JournalWriter {
 public:
  JournalWriter(std::filesystem::path file, int attempt) : file_(std::move(file)), attempt_(attempt) {}
  void write(core::EventType type, std::int64_t step, nlohmann::json payload) {
    core::Event event;
    event.seq = ++seq_;
    event.attempt = attempt_;
    event.step = step;
    event.time = core::to_rfc3339(at_s(step));
    event.type = type;
    event.payload = std::move(payload);
    write_text(file_, core::encode(event) + "\n", std::ios::app);
  }
  void started(std::int64_t resumed_from, std::int64_t max_steps = 100) {
    write(core::EventType::started, resumed_from,
          {{"pid", 1},
           {"host", "here"},
           {"resumed_from_step", resumed_from},
           {"max_steps", max_steps},
           {"total_parameters", 10},
           {"active_parameters", 5}});
  }
  void loss(std::int64_t step, double value) { write(core::EventType::metrics, step, {{"values", {{"train/loss", value}}}}); }
  void finished(std::int64_t step, const std::string& status, const std::string& reason = "", const std::string& message = "") {
    write(core::EventType::finished, step,
          {{"status", status}, {"reason", reason}, {"message", message}, {"values", nlohmann::json::object()}});
  }

 private:
  std::filesystem::path file_;
  int attempt_;
  std::int64_t seq_ = 0;
};

// A home with a database and the ingest, no daemon.
struct EngineHome {
  TempDir dir;
  server::HomePaths paths{dir.path()};
  ManualClock clock;
  db::Database database{paths.database()};
  server::EventBus bus;
  server::Ingest ingest{database, paths, clock, bus};

  std::int64_t add_run(const std::string& name, db::Resources resources = {.gpus = 0, .max_restarts = 3}, int priority = 0, const std::string& waits_for = "") {
    const std::int64_t id = database.write([&](db::Connection& c) {
      db::NewRun run = new_run(name, priority);
      run.resources = resources;
      run.waits_for = waits_for;
      if (!waits_for.empty()) run.depends_on = {waits_for};
      return db::RunStore(c).insert(run, clock.now());
    });
    std::filesystem::create_directories(paths.run(id));
    return id;
  }
  db::RunRow run(std::int64_t id) {
    return database.read([&](db::Connection& c) { return db::RunStore(c).get(id); });
  }
  std::vector<db::MetricPoint> points(std::int64_t id, const std::string& key) {
    return database.read([&](db::Connection& c) { return db::MetricStore(c).query(id, key, 0, 0).points; });
  }
};

// Polls until `done` holds; false when that takes longer than `deadline`.
inline bool eventually(const std::function<bool()>& done, std::chrono::seconds deadline = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace moelab::test
