#include "server/cli/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

#include "core/error.h"

namespace moelab::server::cli {

namespace {

std::atomic<int> signals{0};
static_assert(std::atomic<int>::is_always_lock_free, "signal handlers may only use lock-free atomics");
int pipe_ends[2] = {-1, -1};

extern "C" void on_signal(int) {
  if (signals.fetch_add(1) > 0) ::_exit(core::kExitInterrupted);
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(pipe_ends[1], &byte, 1);
}

bool poll_pipe(int timeout_ms) {
  pollfd ready{pipe_ends[0], POLLIN, 0};
  ::poll(&ready, 1, timeout_ms);  // the byte stays in the pipe, so every later wait returns at once
  return Interrupt::requested();
}

}  // namespace

void Interrupt::install() {
  if (pipe_ends[0] >= 0) return;
  if (::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) throw core::Error(core::ErrorKind::internal, "The system gave no pipe.");
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

bool Interrupt::requested() {
  return signals.load() > 0;
}

bool Interrupt::wait(std::chrono::milliseconds time) {
  return requested() || poll_pipe(static_cast<int>(time.count()));
}

void Interrupt::wait() {
  while (!requested()) poll_pipe(-1);
}

}  // namespace moelab::server::cli
