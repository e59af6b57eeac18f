// Owns time as the server sees it. An interface because tests and the scheduler simulation turn it by hand.
#pragma once

#include <chrono>
#include <string>

namespace moelab::core {

using TimePoint = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  // Never jumps: time since an arbitrary start. Against now() it shows that somebody has set the clock.
  virtual std::chrono::nanoseconds steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::system_clock::now(); }
  std::chrono::nanoseconds steady() const override { return std::chrono::steady_clock::now().time_since_epoch(); }
};

// RFC 3339 in UTC with milliseconds: 2026-11-22T10:00:00.000Z
std::string to_rfc3339(TimePoint time);
// Throws Error(config) when `text` is not such a time.
TimePoint from_rfc3339(const std::string& text);

}  // namespace moelab::core
