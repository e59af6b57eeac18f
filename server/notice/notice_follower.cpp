#include "server/notice/notice_follower.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "db/experiment_store.h"
#include "server/notice/event_payload.h"
#include "server/structured_log.h"

namespace moelab::server {
namespace {

// Bounds one transaction, so that other writers get their turn.
constexpr std::int64_t kBatch = 500;

struct Taken {
  db::NoticeRow notice;
  std::optional<std::chrono::milliseconds> queue_wait;
};

// A run is listed after its first event, and under new names later: what the notice remembers counts once the run is gone.
void complete_experiments(db::Connection& c, db::NoticeRow& notice) {
  for (const db::MemberRow& member : db::ExperimentStore(c).listings(notice.run)) {
    if (std::find(notice.experiments.begin(), notice.experiments.end(), member.experiment) == notice.experiments.end()) {
      notice.experiments.push_back(member.experiment);
    }
  }
}

db::DeliveryRow delivery_of(db::Connection& c, const db::NoticeRow& notice, const db::WebhookRow& webhook, core::TimePoint now) {
  db::DeliveryRow delivery;
  delivery.webhook = webhook.id;
  delivery.event_id = event_id(c, notice);
  delivery.type = notice.type;
  delivery.payload = event_payload(c, notice, webhook.experiment);
  delivery.created_at = now;
  delivery.next_attempt = now;
  return delivery;
}

void give_up_unsent(db::DeliveryRow& delivery) {
  delivery.result = "given_up";
  delivery.error = "more than " + std::to_string(WebhookSender::kMaxPending) + " deliveries were waiting for this webhook";
  delivery.next_attempt.reset();
}

void log_notice(const db::NoticeRow& n) {
  LogFields fields = {{"run", n.run}, {"name", n.name}, {"attempt", n.attempt}, {"step", n.step}};
  if (!n.experiments.empty()) fields["experiment"] = n.experiments.front();
  if (!n.device.empty()) fields["device"] = n.device;
  fields["state"] = n.state;
  const std::string run = "run " + std::to_string(n.run);
  if (n.type == "alert") {
    fields["code"] = n.code;
    fields["reason"] = n.reason;
    return log_with(spdlog::level::info, run + " raised an alert", fields);
  }
  if (!n.reason.empty()) fields["reason"] = n.reason;
  log_with(spdlog::level::info, run + (n.from_state.empty() ? " is " : " " + n.from_state + " -> ") + n.state, fields);
}

}  // namespace

bool wants(const db::WebhookRow& webhook, const db::NoticeRow& notice) {
  const auto has = [](const std::vector<std::string>& list, const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  return webhook.enabled && notice.id > webhook.after_notice && has(webhook.events, notice.type == "alert" ? notice.type : notice.state) &&
         (webhook.experiment.empty() || has(notice.experiments, webhook.experiment));
}

NoticeFollower::NoticeFollower(db::Database& database, const core::Clock& clock, MetricsRegistry& metrics, WebhookSender& sender)
    : database_(database), clock_(clock), metrics_(metrics), sender_(sender) {}

void NoticeFollower::follow() {
  while (take_batch()) {
  }
}

bool NoticeFollower::take_batch() {
  // Most rounds find nothing, and need not wait for the writer to see it.
  if (database_.read([](db::Connection& c) { return db::NoticeStore(c).oldest(1); }).empty()) return false;
  std::vector<Taken> taken;
  std::int64_t made = 0, unsent = 0;
  database_.write([&](db::Connection& c) {
    db::NoticeStore notices(c);
    db::WebhookStore webhooks(c);
    const std::vector<db::WebhookRow> hooks = webhooks.all();
    std::vector<std::int64_t> pending;
    for (const db::WebhookRow& hook : hooks) pending.push_back(webhooks.pending(hook.id));
    for (db::NoticeRow& notice : notices.oldest(kBatch)) {
      complete_experiments(c, notice);
      for (std::size_t i = 0; i < hooks.size(); ++i) {
        if (!wants(hooks[i], notice)) continue;
        db::DeliveryRow delivery = delivery_of(c, notice, hooks[i], clock_.now());
        const bool full = pending[i] >= WebhookSender::kMaxPending;
        if (full) give_up_unsent(delivery);
        webhooks.add_delivery(delivery);
        ++(full ? unsent : made);
        pending[i] += full ? 0 : 1;
      }
      const bool leaves_queue = notice.from_state == "queued" && notice.state == "starting";
      auto wait = leaves_queue ? notices.queue_wait(notice.run, notice.time) : std::nullopt;
      taken.push_back({std::move(notice), wait});
    }
    notices.drop_up_to(taken.back().notice.id);
  });
  for (const Taken& one : taken) {
    log_notice(one.notice);
    if (one.queue_wait) metrics_.add_queue_wait(*one.queue_wait);
  }
  for (; unsent > 0; --unsent) metrics_.add_delivery("given_up");
  if (made > 0) sender_.wake();
  return true;
}

}  // namespace moelab::server
