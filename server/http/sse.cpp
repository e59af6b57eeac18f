#include "server/http/sse.h"

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

namespace moelab::server::http {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
constexpr std::chrono::seconds kHeartbeat{15};

// Sends what the step has; false when the client is gone.
bool send(httplib::DataSink& sink, const SseStep& step, SteadyTime& last_sent) {
  const SteadyTime now = std::chrono::steady_clock::now();
  const std::string& text = step.text.empty() && now - last_sent >= kHeartbeat ? std::string(": alive\n\n") : step.text;
  if (text.empty()) return sink.is_writable();
  last_sent = now;
  return sink.write(text.data(), text.size());
}

}  // namespace

std::string sse_message(std::string_view name, std::string_view line) {
  std::string message;
  if (!name.empty()) message.append("event: ").append(name).append("\n");
  return message.append("data: ").append(line).append("\n\n");
}

void reply_stream(httplib::Response& response, std::shared_ptr<void> place, std::function<SseStep()> step) {
  response.status = 200;
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Accel-Buffering", "no");  // a reverse proxy must not hold messages back
  // A comment at once, so that the client knows it is connected before anything happens.
  auto first = std::make_shared<bool>(true);
  auto last_sent = std::make_shared<SteadyTime>(std::chrono::steady_clock::now());
  response.set_chunked_content_provider(
      "text/event-stream", [place = std::move(place), step = std::move(step), first, last_sent](std::size_t, httplib::DataSink& sink) {
        try {
          const SseStep next = std::exchange(*first, false) ? SseStep{": connected\n\n", false} : step();
          if (!send(sink, next, *last_sent)) return false;
          if (next.end) sink.done();
          return true;
        } catch (const std::exception& error) {
          spdlog::warn("An event stream ended: {}", error.what());
          return false;
        }
      });
}

}  // namespace moelab::server::http
