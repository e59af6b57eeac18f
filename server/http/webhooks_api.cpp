// Webhooks: whom the daemon tells of state changes and alerts. A secret leaves the daemon once, in the answer that makes it.
#include "server/http/api.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/http/request_body.h"
#include "server/notice/webhooks.h"

namespace moelab::server::http {

namespace {

using nlohmann::json;

constexpr std::int64_t kDefaultDeliveries = 100, kMaxDeliveries = 1000;

db::WebhookId webhook_id(const Call& call) {
  return parse_id(std::string(call.id), "webhook");
}

json time_or_null(const std::optional<core::TimePoint>& time) {
  return time ? json(core::to_rfc3339(*time)) : json(nullptr);
}

json delivery_json(const db::DeliveryRow& delivery) {
  return {{"id", delivery.id},
          {"event_id", delivery.event_id},
          {"type", delivery.type},
          {"result", delivery.result},
          {"attempts", delivery.attempts},
          {"status", delivery.status ? json(*delivery.status) : json(nullptr)},
          {"error", delivery.error},
          {"created_at", core::to_rfc3339(delivery.created_at)},
          {"last_attempt_at", time_or_null(delivery.last_attempt)},
          {"next_attempt_at", time_or_null(delivery.next_attempt)},
          {"payload", json::parse(delivery.payload)}};
}

json webhook_json(const WebhookView& webhook) {
  return {{"id", webhook.id},           {"url", webhook.url},
          {"events", webhook.events},   {"experiment", webhook.experiment.empty() ? json(nullptr) : json(webhook.experiment)},
          {"enabled", webhook.enabled}, {"created_at", core::to_rfc3339(webhook.created_at)},
          {"pending", webhook.pending}, {"last_delivery", webhook.last ? delivery_json(*webhook.last) : json(nullptr)}};
}

}  // namespace

void list_webhooks(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  json list = json::array();
  for (const WebhookView& webhook : api.webhooks.list()) list.push_back(webhook_json(webhook));
  reply_json(response, {{"webhooks", std::move(list)}});
}

void add_webhook(Api& api, const Call& call, httplib::Response& response) {
  RequestBody body(call.request, {"url", "events", "experiment", "secret"});
  body.require("url");
  const NewWebhook wanted{body.text("url"), body.text("secret"), body.texts("events"), body.text("experiment")};
  body.finish();
  const CreatedWebhook created = api.webhooks.add(wanted);
  json answer = webhook_json(created.webhook);
  answer["secret"] = created.secret;
  reply_json(response, answer, 201);
}

void get_webhook(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {});
  reply_json(response, webhook_json(api.webhooks.get(webhook_id(call))));
}

void delete_webhook(Api& api, const Call& call, httplib::Response& response) {
  reply_json(response, webhook_json(api.webhooks.remove(webhook_id(call))));
}

void enable_webhook(Api& api, const Call& call, httplib::Response& response) {
  reply_json(response, webhook_json(api.webhooks.set_enabled(webhook_id(call), true)));
}

void disable_webhook(Api& api, const Call& call, httplib::Response& response) {
  reply_json(response, webhook_json(api.webhooks.set_enabled(webhook_id(call), false)));
}

void test_webhook(Api& api, const Call& call, httplib::Response& response) {
  reply_json(response, delivery_json(api.webhooks.test(webhook_id(call))));
}

void list_deliveries(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"limit"});
  const std::int64_t limit = query.integer("limit", kDefaultDeliveries, 1, kMaxDeliveries);
  json list = json::array();
  for (const db::DeliveryRow& delivery : api.webhooks.deliveries(webhook_id(call), limit)) list.push_back(delivery_json(delivery));
  reply_json(response, {{"deliveries", std::move(list)}});
}

}  // namespace moelab::server::http
