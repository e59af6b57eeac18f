// GET /api/v1/devices, and the verbs of a device.
#include <httplib.h>

#include "server/http/api.h"
#include "server/http/json_codec.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/http/request_body.h"
#include "server/run_service.h"

namespace moelab::server::http {

void list_devices(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, to_json(api.service.devices()));
}

void enable_device(Api& api, const Call& call, httplib::Response& response) {
  reply_json(response, to_json(api.service.enable_device(std::string(call.id))));
}

void disable_device(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"reason"});
  const std::string reason = body.free_text("reason");
  body.finish();
  reply_json(response, to_json(api.service.disable_device(std::string(call.id), reason)));
}

}  // namespace moelab::server::http
