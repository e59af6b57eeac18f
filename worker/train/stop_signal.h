// Owns the wish of the outside world that this process should leave. Installed once by main(); asked between micro-batches
// and from data preparation.
#pragma once

namespace moelab::worker {

// SIGTERM and SIGINT set the flag. After that a SIGINT, a person's, ends the process at once with 130; a further SIGTERM does nothing,
// for a daemon that was started again, or Slurm, may send one while the last checkpoint is being written. System calls are
// interrupted (EINTR), so that waiting for a lock notices.
void install_stop_signals();
bool stop_requested();

}  // namespace moelab::worker
