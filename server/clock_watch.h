// Owns noticing that somebody has set the clock, or that the machine has slept: the wall clock and the steady one disagree about how
// much time has passed. Used by the dispatcher from one thread.
#pragma once

#include <chrono>
#include <optional>

#include "core/clock.h"

namespace moelab::server {

class ClockWatch {
 public:
  explicit ClockWatch(const core::Clock& clock) : clock_(clock), wall_(clock.now()), steady_(clock.steady()) {}

  // How far the wall clock has jumped since the last call (backwards: negative); nothing below a second, which is ordinary slewing.
  std::optional<std::chrono::milliseconds> jump() {
    const core::TimePoint wall = clock_.now();
    const std::chrono::nanoseconds steady = clock_.steady();
    const auto by = std::chrono::duration_cast<std::chrono::milliseconds>((wall - wall_) - (steady - steady_));
    wall_ = wall;
    steady_ = steady;
    if (std::chrono::abs(by) < std::chrono::seconds(1)) return std::nullopt;
    return by;
  }

 private:
  const core::Clock& clock_;
  core::TimePoint wall_;
  std::chrono::nanoseconds steady_;
};

}  // namespace moelab::server
