// DiskGuard: what is kept free, and that the disk is not asked at every tick.
#include "server/retention/disk_guard.h"

#include <doctest/doctest.h>

#include "tests/server/engine_fixture.h"

using namespace moelab;
using namespace std::chrono_literals;

namespace {

struct Disk {
  test::ManualClock clock;
  std::optional<server::DiskSpace> space = server::DiskSpace{100'000'000'000, 1'000'000'000'000};
  int asked = 0;
  server::DiskGuard guard(std::optional<std::uint64_t> min_free) {
    return {"/lab", min_free, clock, [this](const std::filesystem::path&) {
              ++asked;
              return space;
            }};
  }
};

}  // namespace

TEST_CASE("a run may start while what is kept free is free") {
  Disk disk;
  server::DiskGuard guard = disk.guard(std::nullopt);
  CHECK(guard.why_not_enough().empty());
  disk.space->free_bytes = 1'234'000'000;
  disk.clock.advance(1s);
  CHECK(guard.why_not_enough() == "waits for disk space: 1.2 GB free in /lab, 2.0 GB are kept free; `moelab gc` frees some");
  disk.space->free_bytes = 2'000'000'000;
  disk.clock.advance(1s);
  CHECK(guard.why_not_enough().empty());
}

TEST_CASE("a small disk keeps a twentieth free, a person may say how much, and 0 is no limit") {
  Disk disk;
  disk.space = server::DiskSpace{400'000'000, 10'000'000'000};
  CHECK(disk.guard(std::nullopt).why_not_enough() ==
        "waits for disk space: 400 MB free in /lab, 500 MB are kept free; `moelab gc` frees some");
  CHECK(disk.guard(300'000'000).why_not_enough().empty());
  CHECK(!disk.guard(500'000'000).why_not_enough().empty());
  disk.space->free_bytes = 0;
  CHECK(disk.guard(0).why_not_enough().empty());
  disk.space.reset();  // a file system that does not tell
  CHECK(disk.guard(std::nullopt).why_not_enough().empty());
}

TEST_CASE("the disk is read once a second, also after the clock was set back") {
  Disk disk;
  server::DiskGuard guard = disk.guard(std::nullopt);
  for (int tick = 0; tick < 10; ++tick) {
    guard.why_not_enough();
    disk.clock.advance(100ms);
  }
  CHECK(disk.asked == 1);
  guard.why_not_enough();
  CHECK(disk.asked == 2);
  disk.space->free_bytes = 0;
  disk.clock.advance(-1h);
  CHECK(!guard.why_not_enough().empty());
  CHECK(disk.asked == 3);
}

TEST_CASE("a real disk tells") {
  const test::TempDir dir;
  const auto space = server::disk_space(dir.path());
  REQUIRE(space);
  CHECK(space->total_bytes >= space->free_bytes);
  CHECK(!server::disk_space(dir.path() / "none"));
}
