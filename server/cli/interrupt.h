// Owns Ctrl-C. The first SIGINT, SIGTERM or SIGHUP is a request that commands notice; the second ends the process at once.
// Used by serve, run and wait; other commands keep the system's default.
#pragma once

#include <chrono>

namespace moelab::server::cli {

class Interrupt {
 public:
  // Once a process, before threads are started.
  static void install();
  static bool requested();
  // Sleeps up to `time`; true as soon as it was requested.
  static bool wait(std::chrono::milliseconds time);
  static void wait();
};

}  // namespace moelab::server::cli
