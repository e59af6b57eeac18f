// The queue as a whole: who is next and why it waits; hold, drain, release.
#include "server/http/api.h"
#include "server/http/json_codec.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/http/request_body.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

// Nothing is left to explain once the queue is open.
void set_mode(Api& api, const Call& call, httplib::Response& response, QueueMode::Kind kind) {
  RequestBody body(call.request, kind == QueueMode::Kind::open ? std::vector<std::string>{} : std::vector<std::string>{"reason"});
  const std::string reason = body.free_text("reason");
  body.finish();
  reply_json(response, to_json(api.service.set_queue_mode(kind, reason)));
}

}  // namespace

void get_queue(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"limit"});
  reply_json(response, to_json(api.service.queue(query.integer("limit", 100, 0, 1000))));
}

void hold_queue(Api& api, const Call& call, httplib::Response& response) {
  set_mode(api, call, response, QueueMode::Kind::held);
}

void drain_queue(Api& api, const Call& call, httplib::Response& response) {
  set_mode(api, call, response, QueueMode::Kind::drained);
}

void release_queue(Api& api, const Call& call, httplib::Response& response) {
  set_mode(api, call, response, QueueMode::Kind::open);
}

}  // namespace moelab::server::http
