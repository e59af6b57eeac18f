#include "server/notice/webhook_sender.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "server/structured_log.h"

namespace moelab::server {
namespace {

// How long an idle sender sleeps when nobody wakes it.
constexpr std::chrono::milliseconds kIdle{60'000};
// After a database that does not answer. Sending again at once would pour the same delivery over its receiver.
constexpr std::chrono::seconds kStoragePause{10};

}  // namespace

WebhookSender::WebhookSender(db::Database& database, const core::Clock& clock, MetricsRegistry& metrics, RequestRules rules)
    : database_(database), clock_(clock), metrics_(metrics), rules_(std::move(rules)) {}

WebhookSender::~WebhookSender() {
  stop(std::chrono::milliseconds(0));
}

void WebhookSender::start() {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
}

void WebhookSender::stop(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  {
    std::unique_lock lock(mutex_);
    const auto settled = [this] { return busy_.empty() && !claim(); };
    while (!threads_.empty() && std::chrono::steady_clock::now() < deadline && !settled()) {
      const std::int64_t seen = wakes_;
      changed_.wait_until(lock, deadline, [&] { return wakes_ != seen; });
    }
  }
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void WebhookSender::wake() {
  {
    const std::lock_guard lock(mutex_);
    ++wakes_;
  }
  changed_.notify_all();
}

std::optional<WebhookSender::Claim> WebhookSender::claim() {
  const core::TimePoint now = clock_.now();
  return database_.read([&](db::Connection& c) {
    db::WebhookStore store(c);
    std::optional<Claim> first;
    for (db::WebhookRow& webhook : store.all()) {
      if (!webhook.enabled || busy_.contains(webhook.id)) continue;
      std::optional<db::DeliveryRow> due = store.next_due(webhook.id, now, now + kPauses.back());
      if (due && (!first || due->next_attempt < first->delivery.next_attempt)) first = Claim{std::move(webhook), *std::move(due)};
    }
    return first;
  });
}

std::chrono::milliseconds WebhookSender::until_next() {
  const auto next = database_.read([](db::Connection& c) { return db::WebhookStore(c).next_time(); });
  const core::TimePoint now = clock_.now();
  // What is due already waits for a busy webhook, whose thread wakes us.
  if (!next || *next <= now) return kIdle;
  return std::min(kIdle, std::chrono::ceil<std::chrono::milliseconds>(*next - now));
}

void WebhookSender::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const std::int64_t seen = wakes_;
    std::optional<Claim> next;
    try {
      next = claim();
      if (!next) {
        changed_.wait_for(lock, stop, until_next(), [&] { return wakes_ != seen; });
        continue;
      }
      busy_.insert(next->webhook.id);
      lock.unlock();
      deliver(*next, stop);
      lock.lock();
    } catch (const std::exception& e) {
      spdlog::error("webhooks: {}", e.what());
      if (!lock.owns_lock()) lock.lock();
      changed_.wait_for(lock, stop, kStoragePause, [] { return false; });
    }
    if (next) busy_.erase(next->webhook.id);
    ++wakes_;
    changed_.notify_all();
  }
}

void WebhookSender::deliver(const Claim& claim, const std::stop_token& stop) {
  const WebhookAnswer answer = send(claim.webhook, claim.delivery, stop);
  if (stop.stop_requested() && !answer.status) return;  // cut off by us, so this was no attempt
  const core::TimePoint now = clock_.now();
  std::vector<db::DeliveryRow> settled{claim.delivery};
  settle(settled.front(), answer, now);
  database_.write([&](db::Connection& c) {
    db::WebhookStore store(c);
    store.record_attempt(settled.front());
    // Where nobody answers, what else is due has failed as well: hundreds of deliveries must not wait for one time limit each.
    if (!answer.status) {
      for (db::DeliveryRow& other : store.all_due(claim.webhook.id, now)) {
        settle(other, answer, now);
        store.record_attempt(other);
        settled.push_back(std::move(other));
      }
    }
    store.trim(claim.webhook.id, kMaxDone);
  });
  for (const db::DeliveryRow& delivery : settled) count(delivery);
}

WebhookAnswer WebhookSender::send(const db::WebhookRow& webhook, const db::DeliveryRow& delivery, const std::stop_token& stop) const {
  return send_webhook({webhook.url, webhook.secret, delivery.type, std::to_string(delivery.id), delivery.payload}, clock_.now(), rules_,
                      stop);
}

void WebhookSender::settle(db::DeliveryRow& delivery, const WebhookAnswer& answer, core::TimePoint now) {
  ++delivery.attempts;
  delivery.last_attempt = now;
  delivery.status = answer.status;
  delivery.error = answer.error;
  delivery.next_attempt.reset();
  if (answer.error.empty()) {
    delivery.result = "delivered";
  } else if (delivery.attempts >= kAttempts) {
    delivery.result = "given_up";
  } else {
    delivery.next_attempt = now + kPauses[static_cast<std::size_t>(delivery.attempts - 1)];
  }
}

void WebhookSender::count(const db::DeliveryRow& delivery) {
  metrics_.add_delivery(delivery.result == "pending" ? "failed" : delivery.result);
  if (delivery.error.empty()) return;
  const bool given_up = delivery.result == "given_up";
  log_with(given_up ? spdlog::level::warn : spdlog::level::info,
           given_up ? "a delivery to a webhook is given up: " + delivery.error
                    : "a delivery to a webhook is tried again later: " + delivery.error,
           {{"webhook", delivery.webhook}, {"delivery", delivery.id}, {"event_id", delivery.event_id}, {"attempts", delivery.attempts}});
}

db::DeliveryRow WebhookSender::send_now(const db::WebhookRow& webhook, db::DeliveryRow delivery) {
  delivery.webhook = webhook.id;
  delivery.result = "given_up";  // unless the answer says otherwise
  delivery.id = database_.write([&](db::Connection& c) { return db::WebhookStore(c).add_delivery(delivery); });
  settle(delivery, send(webhook, delivery, {}), clock_.now());
  if (!delivery.error.empty()) delivery.result = "given_up";
  delivery.next_attempt.reset();
  database_.write([&](db::Connection& c) {
    db::WebhookStore store(c);
    store.record_attempt(delivery);
    store.trim(webhook.id, kMaxDone);
  });
  count(delivery);
  return delivery;
}

}  // namespace moelab::server
