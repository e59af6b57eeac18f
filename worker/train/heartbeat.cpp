#include "worker/train/heartbeat.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace moelab::worker {

Heartbeat::Heartbeat(const std::filesystem::path& run_dir, std::chrono::milliseconds period)
    : period_(period),
      last_(std::chrono::steady_clock::now()),
      fd_(::open((run_dir / "heartbeat").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) {
  touch();
}

Heartbeat::~Heartbeat() {
  if (fd_ >= 0) ::close(fd_);
}

void Heartbeat::beat() {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < period_) return;
  last_ = now;
  touch();
}

void Heartbeat::touch() const {
  // Sets the times alone: that works on a full disk too.
  if (fd_ >= 0) ::futimens(fd_, nullptr);
}

}  // namespace moelab::worker
