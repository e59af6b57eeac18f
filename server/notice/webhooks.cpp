#include "server/notice/webhooks.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "core/nearest_name.h"
#include "core/run_state.h"
#include "db/notice_store.h"
#include "server/hex.h"
#include "server/notice/event_payload.h"
#include "server/notice/webhook_request.h"

namespace moelab::server {
namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMinSecret = 16, kMaxSecret = 256;
constexpr std::size_t kMaxExperimentName = 200;
constexpr std::size_t kTestIdBytes = 12;
constexpr const char* kAlertEvent = "alert";

[[noreturn]] void refuse(const std::string& what) {
  throw core::Error(core::ErrorKind::usage, what);
}

void check_events(const std::vector<std::string>& events) {
  const std::vector<std::string> known = webhook_events();
  for (const std::string& event : events) {
    if (std::find(known.begin(), known.end(), event) == known.end()) {
      refuse("events: '" + event + "' is neither a state of runs nor alert" + core::did_you_mean(event, known));
    }
  }
}

void check_secret(const std::string& secret) {
  const bool printable = std::all_of(secret.begin(), secret.end(), [](unsigned char c) { return std::isgraph(c) != 0; });
  if (!printable || secret.size() < kMinSecret || secret.size() > kMaxSecret) {
    refuse("secret: it must have " + std::to_string(kMinSecret) + " to " + std::to_string(kMaxSecret) +
           " visible ASCII characters; leave it out and one is made");
  }
}

WebhookView view_of(db::WebhookStore& store, const db::WebhookRow& row) {
  return {row.id, row.url, row.events, row.experiment, row.enabled, row.created_at, store.pending(row.id), store.newest(row.id)};
}

}  // namespace

std::vector<std::string> webhook_events() {
  std::vector<std::string> events;
  for (const core::RunState state : core::all_run_states()) events.push_back(core::to_string(state));
  events.push_back(kAlertEvent);
  return events;
}

std::vector<std::string> default_webhook_events() {
  std::vector<std::string> events;
  for (const core::RunState state : core::all_run_states()) {
    if (core::is_terminal(state)) events.push_back(core::to_string(state));
  }
  events.push_back(kAlertEvent);
  return events;
}

Webhooks::Webhooks(db::Database& database, const core::Clock& clock, WebhookSender& sender)
    : database_(database), clock_(clock), sender_(sender) {}

CreatedWebhook Webhooks::add(const NewWebhook& wanted) {
  check_webhook_url(wanted.url, sender_.rules());
  check_events(wanted.events);
  if (wanted.experiment.size() > kMaxExperimentName) refuse("experiment: the name is longer than " + std::to_string(kMaxExperimentName));
  if (!wanted.secret.empty()) check_secret(wanted.secret);
  db::WebhookRow row;
  row.url = wanted.url;
  row.secret = wanted.secret.empty() ? random_hex(kSecretBytes) : wanted.secret;
  row.events = wanted.events.empty() ? default_webhook_events() : wanted.events;
  row.experiment = wanted.experiment;
  row.created_at = clock_.now();
  database_.write([&](db::Connection& c) {
    db::WebhookStore store(c);
    if (store.all().size() >= kMaxWebhooks) {
      throw core::Error(core::ErrorKind::conflict,
                        "there are " + std::to_string(kMaxWebhooks) + " webhooks already; remove one with `moelab webhook rm ID`");
    }
    row.after_notice = db::NoticeStore(c).last_id();
    row.id = store.add(row);
  });
  return {get(row.id), row.secret};
}

std::vector<WebhookView> Webhooks::list() const {
  return database_.read([](db::Connection& c) {
    db::WebhookStore store(c);
    std::vector<WebhookView> views;
    for (const db::WebhookRow& row : store.all()) views.push_back(view_of(store, row));
    return views;
  });
}

WebhookView Webhooks::get(db::WebhookId id) const {
  return database_.read([&](db::Connection& c) {
    db::WebhookStore store(c);
    return view_of(store, store.get(id));
  });
}

WebhookView Webhooks::set_enabled(db::WebhookId id, bool enabled) {
  database_.write([&](db::Connection& c) {
    db::WebhookStore store(c);
    store.get(id);
    store.set_enabled(id, enabled);
  });
  sender_.wake();
  return get(id);
}

WebhookView Webhooks::remove(db::WebhookId id) {
  return database_.write([&](db::Connection& c) {
    db::WebhookStore store(c);
    WebhookView view = view_of(store, store.get(id));
    store.remove(id);
    return view;
  });
}

db::DeliveryRow Webhooks::test(db::WebhookId id) {
  const db::WebhookRow webhook = database_.read([&](db::Connection& c) { return db::WebhookStore(c).get(id); });
  db::DeliveryRow delivery;
  delivery.event_id = "test-" + random_hex(kTestIdBytes);
  delivery.type = "test";
  delivery.created_at = clock_.now();
  delivery.payload = test_payload(delivery.event_id, delivery.created_at);
  return sender_.send_now(webhook, delivery);
}

std::vector<db::DeliveryRow> Webhooks::deliveries(db::WebhookId id, std::int64_t limit) const {
  return database_.read([&](db::Connection& c) {
    db::WebhookStore store(c);
    store.get(id);
    return store.deliveries(id, limit);
  });
}

}  // namespace moelab::server
