// GET /api/v1/stream: present views of what changed.
#include <set>

#include "core/error.h"
#include "server/event_bus.h"
#include "server/http/api.h"
#include "server/http/json_codec.h"
#include "server/http/query.h"
#include "server/http/sse.h"
#include "server/http/stream_gate.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

// Changes of this long merge into one message a thing: workers report many times a second, a person sees far less.
constexpr std::chrono::milliseconds kMerge{200};

// Of a thing that went away between its notice and now, that it has.
template <class Id, class Read>
std::string message_of(const std::string& name, Id id, Read&& read) {
  try {
    return sse_message(name, to_json(read(id)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } catch (const core::Error& error) {
    if (error.kind() == core::ErrorKind::not_found) return sse_message("gone", nlohmann::json{{name, id}}.dump());
    throw;
  }
}

std::string messages_of(const RunService& service, const Changes& changes) {
  std::string text;
  std::set<ExperimentId> experiments(changes.experiments.begin(), changes.experiments.end());
  for (const RunId id : changes.runs) {
    text += message_of("run", id, [&](RunId run) { return service.run(run); });
    for (const ExperimentId experiment : service.experiments_of(id)) experiments.insert(experiment);
  }
  for (const ExperimentId id : experiments) {
    text += message_of("experiment", id, [&](ExperimentId experiment) { return service.experiment(experiment); });
  }
  if (changes.devices)
    text += sse_message("devices", to_json(service.devices()).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return text;
}

}  // namespace

void stream(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_stream(response, api.streams.enter(), [&api, subscription = api.bus.subscribe(), rest = false]() mutable -> SseStep {
    if (rest && !api.streams.pause(kMerge)) return {"", true};
    const Changes changes = subscription->wait(kStreamWait);
    rest = !changes.empty();
    // After an overflow the client must read the listings anew, as it does after every connection: so it is cut off.
    return {messages_of(api.service, changes), changes.closed || changes.overflow};
  });
}

}  // namespace moelab::server::http
