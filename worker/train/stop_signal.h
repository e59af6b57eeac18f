// Owns the wish of the outside world that this process should leave. Installed once by main(); asked between micro-batches
// and from data preparation.
#pragma once

namespace moelab::worker {

// SIGTERM and SIGINT set the flag; a second one ends the process at once with 128 + its number. System calls are
// interrupted (EINTR), so that waiting for a lock notices.
void install_stop_signals();
bool stop_requested();

}  // namespace moelab::worker
