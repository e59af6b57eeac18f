// What of two clocks that disagree is told as a jump.
#include "server/clock_watch.h"

#include <doctest/doctest.h>

#include "tests/server/engine_fixture.h"

using namespace moelab;
using namespace std::chrono_literals;

TEST_CASE("a clock that is set by a second or more is told once, either way; time that passes is not") {
  test::ManualClock clock;
  server::ClockWatch watch(clock);
  clock.advance(48h);
  CHECK_FALSE(watch.jump());
  clock.jump(999ms);
  CHECK_FALSE(watch.jump());
  clock.jump(1s);
  CHECK(watch.jump() == 1000ms);
  CHECK_FALSE(watch.jump());
  clock.advance(10s);
  clock.jump(-30s);
  CHECK(watch.jump() == -30s);
  CHECK_FALSE(watch.jump());
}
