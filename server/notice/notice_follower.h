// Owns what becomes of notices, the state changes of runs and the alerts of workers: a line in the log, an observation for
// Prometheus, and a delivery for every webhook that wants to hear of it. Deliveries are stored in the transaction that drops the
// notices. Called by App's notice thread.
#pragma once

#include "core/clock.h"
#include "db/database.h"
#include "db/notice_store.h"
#include "db/webhook_store.h"
#include "server/metrics_registry.h"
#include "server/notice/webhook_sender.h"

namespace moelab::server {

class NoticeFollower {
 public:
  NoticeFollower(db::Database& database, const core::Clock& clock, MetricsRegistry& metrics, WebhookSender& sender);

  // Takes all that has happened since the last call.
  void follow();

 private:
  // One transaction; false when nothing was left.
  bool take_batch();

  db::Database& database_;
  const core::Clock& clock_;
  MetricsRegistry& metrics_;
  WebhookSender& sender_;
};

// Whether the webhook asked for this: its events, its experiment, and not from before it was made.
bool wants(const db::WebhookRow& webhook, const db::NoticeRow& notice);

}  // namespace moelab::server
