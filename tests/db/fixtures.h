// Owns the small rows that the store tests need.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "core/error.h"
#include "db/database.h"
#include "db/experiment_store.h"
#include "db/run_store.h"
#include "tests/db/temp_dir.h"

namespace moelab::test {

inline core::TimePoint at_s(std::int64_t seconds) {
  return core::TimePoint(std::chrono::seconds(1'700'000'000 + seconds));
}

inline db::NewRun new_run(const std::string& name, int priority = 0, std::int64_t seed = 0) {
  db::NewRun run;
  run.key = "key-" + name;
  run.matrix = "matrix";
  run.name = name;
  run.spec = {{"name", name}, {"config", {{"seed", seed}}}};
  run.seed = seed;
  run.priority = priority;
  run.max_steps = 100;
  return run;
}

// The kind of core::Error that `work` throws; fails the test when it throws none.
template <class Work>
core::ErrorKind kind_of_error(Work&& work, std::string* message = nullptr) {
  try {
    work();
  } catch (const core::Error& e) {
    if (message) *message = e.what();
    return e.kind();
  }
  FAIL("no core::Error was thrown");
  return core::ErrorKind::internal;
}

struct TempDatabase {
  TempDir dir;
  db::Database database{dir.path() / "moelab.db"};
};

}  // namespace moelab::test
