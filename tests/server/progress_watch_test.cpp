// What counts as progress of a worker, and from when on its silence counts.
#include "server/progress_watch.h"

#include <doctest/doctest.h>

#include "tests/db/temp_dir.h"

using namespace moelab;
using namespace std::chrono_literals;

TEST_CASE("silence counts from the last sign of progress, and anew for each attempt") {
  const test::TempDir dir;
  const server::HomePaths paths(dir.path());
  std::filesystem::create_directories(paths.run(1));
  server::ProgressWatch watch(paths);
  CHECK(watch.idle(1, 1, 100s) == 0s);
  CHECK(watch.idle(1, 1, 160s) == 60s);
  test::write_text(paths.journal(1), "a line\n");
  CHECK(watch.idle(1, 1, 170s) == 0s);
  CHECK(watch.idle(1, 1, 180s) == 10s);
  test::write_text(paths.heartbeat(1), "");
  CHECK(watch.idle(1, 1, 190s) == 0s);
  CHECK(watch.idle(1, 1, 290s) == 100s);
  CHECK(watch.idle(1, 2, 300s) == 0s);  // whose worker has yet to write its first line
  CHECK(watch.idle(1, 2, 310s) == 10s);
  watch.forget(1);
  CHECK(watch.idle(1, 2, 320s) == 0s);
}
