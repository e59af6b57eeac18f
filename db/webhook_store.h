// Owns webhooks and their deliveries: whom to tell of what, what is still to be sent, and how that went. Called by
// server/notice/ inside Database::write or read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/database.h"

namespace moelab::db {

using WebhookId = std::int64_t;

struct WebhookRow {
  WebhookId id = 0;  // 0 = the next one
  std::string url;
  std::string secret;
  std::vector<std::string> events;  // names of states, "alert"
  std::string experiment;           // only runs that it lists; empty = all
  bool enabled = true;
  std::int64_t after_notice = 0;  // hears of notices with a higher id
  core::TimePoint created_at;
};

struct DeliveryRow {
  std::int64_t id = 0;
  WebhookId webhook = 0;
  std::string event_id;            // the same in every attempt, and for every webhook that hears of the event
  std::string type;                // "run_state" | "alert" | "test"
  std::string payload;             // the body
  std::string result = "pending";  // | "delivered" | "given_up"
  int attempts = 0;
  std::optional<core::TimePoint> next_attempt;  // while pending
  std::optional<core::TimePoint> last_attempt;
  std::optional<std::int64_t> status;  // of HTTP, at the last attempt; nothing = no answer
  std::string error;                   // of the last attempt; empty = delivered
  core::TimePoint created_at;
};

class WebhookStore {
 public:
  explicit WebhookStore(Connection& connection) : connection_(connection) {}

  WebhookId add(const WebhookRow& webhook);
  std::vector<WebhookRow> all();  // by id
  std::optional<WebhookRow> find(WebhookId id);
  WebhookRow get(WebhookId id);  // throws Error(not_found)
  void set_enabled(WebhookId id, bool enabled);
  void remove(WebhookId id);  // with its deliveries

  // The row without its id; returns the id.
  std::int64_t add_delivery(const DeliveryRow& delivery);
  // The webhook's pending delivery that is due first: next_attempt is at or before `now`, or so far off (after `horizon`) that
  // the clock must have been set back since.
  std::optional<DeliveryRow> next_due(WebhookId webhook, core::TimePoint now, core::TimePoint horizon);
  std::vector<DeliveryRow> all_due(WebhookId webhook, core::TimePoint now);
  // When the first pending delivery of an enabled webhook is due.
  std::optional<core::TimePoint> next_time();
  // Result, attempts, times, status and error of an attempt. Nothing happens when the webhook was removed meanwhile.
  void record_attempt(const DeliveryRow& delivery);
  std::optional<DeliveryRow> newest(WebhookId webhook);
  std::vector<DeliveryRow> deliveries(WebhookId webhook, std::int64_t limit);  // newest first
  std::int64_t pending(WebhookId webhook);
  // Drops all but the newest `keep` of the webhook's deliveries that are done.
  void trim(WebhookId webhook, std::int64_t keep);

 private:
  Connection& connection_;
};

}  // namespace moelab::db
