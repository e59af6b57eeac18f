#include "server/http/stream_gate.h"

#include <string>

#include "core/error.h"

namespace moelab::server::http {

std::shared_ptr<void> StreamGate::enter() {
  const std::lock_guard lock(mutex_);
  if (open_ >= limit_) {
    throw core::Error(
        core::ErrorKind::unreachable,
        "All " + std::to_string(limit_) + " event streams of this daemon are taken: close a dashboard or a `moelab logs -f`.");
  }
  ++open_;
  return {this, [](StreamGate* gate) { gate->leave(); }};
}

void StreamGate::leave() {
  const std::lock_guard lock(mutex_);
  --open_;
}

bool StreamGate::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !closing_.wait_for(lock, time, [this] { return closed_; });
}

void StreamGate::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  closing_.notify_all();
}

}  // namespace moelab::server::http
