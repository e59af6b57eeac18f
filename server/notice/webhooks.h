// Owns the verbs of webhooks: what REST and the command line may ask for. Safe to call from any thread; throws core::Error:
// not_found for an unknown id, usage for a bad argument, conflict when there are too many.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "db/webhook_store.h"
#include "server/notice/webhook_sender.h"

namespace moelab::server {

inline constexpr std::size_t kMaxWebhooks = 100;

struct NewWebhook {
  std::string url;
  std::string secret;               // empty: one is made
  std::vector<std::string> events;  // empty: default_webhook_events()
  std::string experiment;           // empty: all runs
};

// Never with the secret.
struct WebhookView {
  db::WebhookId id = 0;
  std::string url;
  std::vector<std::string> events;
  std::string experiment;
  bool enabled = true;
  core::TimePoint created_at;
  std::int64_t pending = 0;             // deliveries still to be sent
  std::optional<db::DeliveryRow> last;  // the newest delivery
};

struct CreatedWebhook {
  WebhookView webhook;
  std::string secret;  // told here and never again
};

// Every state, and "alert".
std::vector<std::string> webhook_events();
// Every state that ends a run, and "alert".
std::vector<std::string> default_webhook_events();

class Webhooks {
 public:
  // `database` and `sender` outlive it.
  Webhooks(db::Database& database, const core::Clock& clock, WebhookSender& sender);

  // It hears of what happens from now on.
  CreatedWebhook add(const NewWebhook& wanted);
  std::vector<WebhookView> list() const;
  WebhookView get(db::WebhookId id) const;
  WebhookView set_enabled(db::WebhookId id, bool enabled);
  // With its deliveries; the view is the last one.
  WebhookView remove(db::WebhookId id);
  // Sends a call of type "test" now, and tells how it went; it is not tried again. Blocks for as long as two time limits.
  db::DeliveryRow test(db::WebhookId id);
  std::vector<db::DeliveryRow> deliveries(db::WebhookId id, std::int64_t limit) const;  // newest first

 private:
  db::Database& database_;
  const core::Clock& clock_;
  WebhookSender& sender_;
};

}  // namespace moelab::server
