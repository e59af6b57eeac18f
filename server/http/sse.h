// Owns the text form of server-sent events and the chunked response that carries them. Used by stream_api.cpp and logs_api.cpp.
#pragma once

#include <httplib.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace moelab::server::http {

// "event: NAME\ndata: LINE\n\n"; no event line when `name` is empty. `line` must not hold a line end.
std::string sse_message(std::string_view name, std::string_view line);

// What a stream does next: text to send, and whether it is over.
struct SseStep {
  std::string text;
  bool end = false;
};

// Answers with an endless stream. `step` is called again and again on one thread of the pool; it waits for news, but no
// longer than about a quarter of a second, so that a client that left is noticed. A comment line goes out after 15 quiet
// seconds. `place` is held until the stream ends. An exception in `step` ends the stream.
void reply_stream(httplib::Response& response, std::shared_ptr<void> place, std::function<SseStep()> step);

inline constexpr std::chrono::milliseconds kStreamWait{250};

}  // namespace moelab::server::http
