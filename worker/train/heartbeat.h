// Owns runs/<id>/heartbeat, a file whose time of change says when this worker last finished a piece of work. The server takes it,
// with the growth of the journal, as proof that a run gets on (resources.hang_timeout). Touched by the thread that does the work and
// by no other: a thread of its own would go on in a process that hangs.
#pragma once

#include <chrono>
#include <filesystem>

namespace moelab::worker {

class Heartbeat {
 public:
  // Makes or touches the file. Where it cannot be made the journal alone is the proof, so that is no error.
  explicit Heartbeat(const std::filesystem::path& run_dir, std::chrono::milliseconds period = std::chrono::seconds(1));
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // A piece of work is done. Touches the file at most once a period.
  void beat();

 private:
  void touch() const;

  std::chrono::milliseconds period_;
  std::chrono::steady_clock::time_point last_;
  int fd_;
};

}  // namespace moelab::worker
