// GET /api/v1/devices.
#include "server/http/api.h"
#include "server/http/json_codec.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/run_service.h"

namespace moelab::server::http {

void list_devices(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, to_json(api.service.devices()));
}

}  // namespace moelab::server::http
