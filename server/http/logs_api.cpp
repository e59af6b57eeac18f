// GET /api/v1/runs/{id}/logs: the worker's output, whole or followed.
#include <memory>
#include <utility>

#include "core/run_state.h"
#include "server/http/api.h"
#include "server/http/log_tail.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/http/sse.h"
#include "server/http/stream_gate.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

constexpr std::int64_t kMaxTail = 10'000;

std::string as_messages(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += sse_message("", line);
  return text;
}

// Sends the tail, then what is added, and ends after the last line of an ended run.
class Follower {
 public:
  Follower(Api& api, RunId run, std::size_t tail) : api_(api), run_(run), tail_(tail), log_(api.service.log_file(run)) {}

  SseStep next() {
    if (std::exchange(first_, false)) return {as_messages(log_.last(tail_)), false};
    // The state comes first: a line written before the run ended is then surely read.
    const bool ended = core::is_terminal(api_.service.run(run_).state);
    const std::string text = as_messages(log_.follow());
    if (!text.empty()) return {text, false};
    if (ended) return {sse_message("end", ""), true};
    return {"", !api_.streams.pause(kStreamWait)};
  }

 private:
  Api& api_;
  RunId run_;
  std::size_t tail_;
  LogTail log_;
  bool first_ = true;
};

}  // namespace

void get_logs(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"tail", "follow"});
  const RunId id = parse_id(std::string(call.id), "run");
  const auto tail = static_cast<std::size_t>(query.integer("tail", 200, 0, kMaxTail));
  if (query.integer("follow", 0, 0, 1) == 1) {
    auto place = api.streams.enter();
    reply_stream(response, std::move(place), [follower = std::make_shared<Follower>(api, id, tail)] { return follower->next(); });
    return;
  }
  reply_json(response, {{"lines", LogTail(api.service.log_file(id)).last(tail)}});
}

}  // namespace moelab::server::http
