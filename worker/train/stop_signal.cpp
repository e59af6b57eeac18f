#include "worker/train/stop_signal.h"

#include <signal.h>
#include <unistd.h>

namespace moelab::worker {
namespace {

volatile sig_atomic_t stop_flag = 0;

void on_signal(int number) {
  if (stop_flag != 0 && number == SIGINT) ::_exit(128 + number);
  stop_flag = 1;
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  // A reader that went away must not kill the training: the write fails with EPIPE instead.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
  // Likewise a limit on the size of files (ulimit -f): EFBIG, a storage error with a sentence.
  ::sigaction(SIGXFSZ, &action, nullptr);
}

bool stop_requested() {
  return stop_flag != 0;
}

}  // namespace moelab::worker
