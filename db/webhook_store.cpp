#include "db/webhook_store.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "db/statement.h"

namespace moelab::db {
namespace {

constexpr const char* kWebhookColumns = "id, url, secret, events, experiment, enabled, after_notice, created_ms";
constexpr const char* kDeliveryColumns =
    "id, webhook_id, event_id, type, payload, result, attempts, next_attempt_ms, last_ms, last_status, last_error, created_ms";

WebhookRow read_webhook(const Statement& row) {
  return {row.integer(0), row.text(1),    row.text(2),    nlohmann::json::parse(row.text(3)).get<std::vector<std::string>>(),
          row.text(4),    row.boolean(5), row.integer(6), row.time(7)};
}

DeliveryRow read_delivery(const Statement& row) {
  return {row.integer(0), row.integer(1),    row.text(2),       row.text(3),          row.text(4),  row.text(5),
          row.small(6),   row.maybe_time(7), row.maybe_time(8), row.maybe_integer(9), row.text(10), row.time(11)};
}

}  // namespace

WebhookId WebhookStore::add(const WebhookRow& w) {
  Statement row(connection_,
                "INSERT INTO webhooks (id, url, secret, events, experiment, enabled, after_notice, created_ms) "
                "VALUES (nullif(?, 0), ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                w.id, w.url, w.secret, nlohmann::json(w.events).dump(), w.experiment, w.enabled, w.after_notice, w.created_at);
  row.step();
  return row.integer(0);
}

std::vector<WebhookRow> WebhookStore::all() {
  std::vector<WebhookRow> list;
  Statement row(connection_, std::string("SELECT ") + kWebhookColumns + " FROM webhooks ORDER BY id");
  while (row.step()) list.push_back(read_webhook(row));
  return list;
}

std::optional<WebhookRow> WebhookStore::find(WebhookId id) {
  Statement row(connection_, std::string("SELECT ") + kWebhookColumns + " FROM webhooks WHERE id = ?", id);
  return row.step() ? std::optional(read_webhook(row)) : std::nullopt;
}

WebhookRow WebhookStore::get(WebhookId id) {
  std::optional<WebhookRow> webhook = find(id);
  if (!webhook)
    throw core::Error(core::ErrorKind::not_found, "there is no webhook " + std::to_string(id) + "; `moelab webhook ls` lists them");
  return *std::move(webhook);
}

void WebhookStore::set_enabled(WebhookId id, bool enabled) {
  Statement(connection_, "UPDATE webhooks SET enabled = ? WHERE id = ?", enabled, id).run();
}

void WebhookStore::remove(WebhookId id) {
  Statement(connection_, "DELETE FROM webhooks WHERE id = ?", id).run();
}

std::int64_t WebhookStore::add_delivery(const DeliveryRow& d) {
  Statement row(connection_,
                "INSERT INTO deliveries (webhook_id, event_id, type, payload, result, attempts, next_attempt_ms, last_ms, last_status, "
                "last_error, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                d.webhook, d.event_id, d.type, d.payload, d.result, d.attempts, d.next_attempt, d.last_attempt, d.status, d.error,
                d.created_at);
  row.step();
  return row.integer(0);
}

std::optional<DeliveryRow> WebhookStore::next_due(WebhookId webhook, core::TimePoint now, core::TimePoint horizon) {
  const auto first = [&](const std::string& range, core::TimePoint bound) {
    Statement row(connection_,
                  std::string("SELECT ") + kDeliveryColumns + " FROM deliveries WHERE webhook_id = ? AND next_attempt_ms IS NOT NULL AND " +
                      range + " ORDER BY next_attempt_ms, id LIMIT 1",
                  webhook, bound);
    return row.step() ? std::optional(read_delivery(row)) : std::nullopt;
  };
  auto due = first("next_attempt_ms <= ?", now);
  return due ? due : first("next_attempt_ms > ?", horizon);
}

std::vector<DeliveryRow> WebhookStore::all_due(WebhookId webhook, core::TimePoint now) {
  std::vector<DeliveryRow> list;
  Statement row(connection_,
                std::string("SELECT ") + kDeliveryColumns +
                    " FROM deliveries WHERE webhook_id = ? AND next_attempt_ms IS NOT NULL AND next_attempt_ms <= ? ORDER BY id",
                webhook, now);
  while (row.step()) list.push_back(read_delivery(row));
  return list;
}

std::optional<core::TimePoint> WebhookStore::next_time() {
  Statement row(connection_,
                "SELECT min((SELECT min(next_attempt_ms) FROM deliveries WHERE webhook_id = w.id AND next_attempt_ms IS NOT NULL)) "
                "FROM webhooks w WHERE w.enabled");
  return row.step() ? row.maybe_time(0) : std::nullopt;
}

void WebhookStore::record_attempt(const DeliveryRow& d) {
  Statement(
      connection_,
      "UPDATE deliveries SET result = ?, attempts = ?, next_attempt_ms = ?, last_ms = ?, last_status = ?, last_error = ? WHERE id = ?",
      d.result, d.attempts, d.next_attempt, d.last_attempt, d.status, d.error, d.id)
      .run();
}

std::optional<DeliveryRow> WebhookStore::newest(WebhookId webhook) {
  std::vector<DeliveryRow> list = deliveries(webhook, 1);
  return list.empty() ? std::nullopt : std::optional(std::move(list.front()));
}

std::vector<DeliveryRow> WebhookStore::deliveries(WebhookId webhook, std::int64_t limit) {
  std::vector<DeliveryRow> list;
  Statement row(connection_, std::string("SELECT ") + kDeliveryColumns + " FROM deliveries WHERE webhook_id = ? ORDER BY id DESC LIMIT ?",
                webhook, limit);
  while (row.step()) list.push_back(read_delivery(row));
  return list;
}

std::int64_t WebhookStore::pending(WebhookId webhook) {
  Statement row(connection_, "SELECT count(*) FROM deliveries WHERE webhook_id = ? AND next_attempt_ms IS NOT NULL", webhook);
  row.step();
  return row.integer(0);
}

void WebhookStore::trim(WebhookId webhook, std::int64_t keep) {
  Statement(connection_,
            "DELETE FROM deliveries WHERE webhook_id = ?1 AND next_attempt_ms IS NULL AND id <= (SELECT id FROM deliveries WHERE "
            "webhook_id = ?1 AND next_attempt_ms IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            webhook, keep)
      .run();
}

}  // namespace moelab::db
