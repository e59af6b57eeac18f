// Owns noticing that somebody has set the clock, or that the machine has slept: the wall clock and the steady one disagree about how
// much time has passed. Used by the dispatcher from one thread.
#pragma once

#include <chrono>
#include <functional>

#include "core/clock.h"

namespace moelab::server {

class ClockWatch {
 public:
  explicit ClockWatch(const core::Clock& clock) : clock_(clock), wall_(clock.now()), steady_(clock.steady()) {}

  // Calls `follow` with how far the wall clock has jumped since the last call (backwards: negative); not below a second, which is
  // ordinary slewing. When `follow` throws, the jump is told again the next time.
  void look(const std::function<void(std::chrono::milliseconds)>& follow) {
    const core::TimePoint wall = clock_.now();
    const std::chrono::nanoseconds steady = clock_.steady();
    const auto by = std::chrono::duration_cast<std::chrono::milliseconds>((wall - wall_) - (steady - steady_));
    if (std::chrono::abs(by) >= std::chrono::seconds(1)) follow(by);
    wall_ = wall;
    steady_ = steady;
  }

 private:
  const core::Clock& clock_;
  core::TimePoint wall_;
  std::chrono::nanoseconds steady_;
};

}  // namespace moelab::server
