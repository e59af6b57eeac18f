// Owns how many event streams may be open and how they end: each one holds a thread of the HTTP pool, so they are counted.
// Used by stream_api.cpp and logs_api.cpp; closed by http_server.cpp.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace moelab::server::http {

class StreamGate {
 public:
  explicit StreamGate(int limit) : limit_(limit) {}

  // A place among the streams, given back when the pointer is dropped. Throws Error(unreachable) when all are taken.
  std::shared_ptr<void> enter();
  // Sleeps; false when the gate has closed meanwhile.
  bool pause(std::chrono::milliseconds time);
  void close();

 private:
  void leave();

  std::mutex mutex_;
  std::condition_variable closing_;
  const int limit_;
  int open_ = 0;
  bool closed_ = false;
};

}  // namespace moelab::server::http
