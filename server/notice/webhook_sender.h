// Owns the sending of deliveries: a few threads that take what is due from the database, send it and record how that went. What
// fails is tried again after a growing pause, kAttempts times in all, then given up. At least once: a daemon that dies between
// a receiver's answer and its record sends again, with the same event_id. Made by App; woken when there are new deliveries.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "db/database.h"
#include "db/webhook_store.h"
#include "server/metrics_registry.h"
#include "server/notice/webhook_request.h"

namespace moelab::server {

class WebhookSender {
 public:
  // Pauses after the first, second ... attempt that failed; there are as many attempts as pauses and one more.
  static constexpr std::array<std::chrono::seconds, 7> kPauses{
      std::chrono::seconds(1),   std::chrono::seconds(4),   std::chrono::seconds(16), std::chrono::seconds(60),
      std::chrono::seconds(240), std::chrono::seconds(600), std::chrono::seconds(600)};
  static constexpr int kAttempts = static_cast<int>(kPauses.size()) + 1;
  static constexpr std::int64_t kMaxPending = 10'000;  // deliveries that wait for one webhook; later events are given up at once
  static constexpr std::int64_t kMaxDone = 1000;       // kept of each webhook to be looked at
  static constexpr int kThreads = 4;                   // one webhook has one request at a time

  WebhookSender(db::Database& database, const core::Clock& clock, MetricsRegistry& metrics, RequestRules rules = {});
  ~WebhookSender();

  void start();
  // Waits up to `patience` until nothing is due, cuts off what still runs, ends the threads. Idempotent.
  void stop(std::chrono::milliseconds patience);
  // There may be something due now.
  void wake();
  // Sends outside the queue, on the caller's thread, and records the one attempt as done either way.
  db::DeliveryRow send_now(const db::WebhookRow& webhook, db::DeliveryRow delivery);

  const RequestRules& rules() const { return rules_; }

 private:
  struct Claim {
    db::WebhookRow webhook;
    db::DeliveryRow delivery;
  };

  void work(const std::stop_token& stop);
  std::optional<Claim> claim();  // with mutex_ held
  std::chrono::milliseconds until_next();
  void deliver(const Claim& claim, const std::stop_token& stop);
  WebhookAnswer send(const db::WebhookRow& webhook, const db::DeliveryRow& delivery, const std::stop_token& stop) const;
  // What an attempt at `now` makes of a delivery.
  static void settle(db::DeliveryRow& delivery, const WebhookAnswer& answer, core::TimePoint now);
  void count(const db::DeliveryRow& delivery);

  db::Database& database_;
  const core::Clock& clock_;
  MetricsRegistry& metrics_;
  const RequestRules rules_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable_any changed_;
  std::set<db::WebhookId> busy_;  // have a request under way
  std::int64_t wakes_ = 0;
  std::vector<std::jthread> threads_;
};

}  // namespace moelab::server
