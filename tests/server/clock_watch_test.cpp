// What of two clocks that disagree is told as a jump.
#include "server/clock_watch.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using namespace std::chrono_literals;

namespace {

std::optional<std::chrono::milliseconds> jump(server::ClockWatch& watch) {
  std::optional<std::chrono::milliseconds> told;
  watch.look([&](std::chrono::milliseconds by) { told = by; });
  return told;
}

}  // namespace

TEST_CASE("a clock that is set by a second or more is told once, either way; time that passes is not") {
  test::ManualClock clock;
  server::ClockWatch watch(clock);
  clock.advance(48h);
  CHECK_FALSE(jump(watch));
  clock.jump(999ms);
  CHECK_FALSE(jump(watch));
  clock.jump(1s);
  CHECK(jump(watch) == 1000ms);
  CHECK_FALSE(jump(watch));
  clock.advance(10s);
  clock.jump(-30s);
  CHECK(jump(watch) == -30s);
  CHECK_FALSE(jump(watch));
}

TEST_CASE("a jump that could not be followed is told again") {
  test::ManualClock clock;
  server::ClockWatch watch(clock);
  clock.jump(2h);
  CHECK_THROWS_AS(watch.look([](auto) { throw core::Error(core::ErrorKind::storage, "disk full"); }), core::Error);
  clock.advance(1s);
  CHECK(jump(watch) == 2h);
  CHECK_FALSE(jump(watch));
}
