// Owns one request to a webhook: signature, address check, time limit, TLS. Called by webhook_sender; blocks its thread for up to
// the time limit of name resolution plus that of the request.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "core/clock.h"
#include "server/notice/public_address.h"

namespace moelab::server {

struct RequestRules {
  bool allow_private = false;               // addresses that are not public (moelab serve --webhook-private)
  std::chrono::milliseconds timeout{5000};  // for resolving the name, and again for the whole exchange
  Resolver resolve = resolve_host;          // tests give names of their own
};

struct WebhookMessage {
  std::string url;
  std::string secret;
  std::string type;         // X-Moelab-Event
  std::string delivery_id;  // X-Moelab-Delivery
  std::string body;
};

struct WebhookAnswer {
  std::optional<int> status;  // of HTTP; nothing when none came
  std::string error;          // empty exactly when it was delivered: the receiver answered 2xx
};

// Lower-case hexadecimal HMAC-SHA256 with the key `secret` over "TIMESTAMP.BODY".
std::string webhook_signature(const std::string& secret, const std::string& timestamp, const std::string& body);

// POSTs the body with the headers X-Moelab-Event, X-Moelab-Delivery, X-Moelab-Timestamp (seconds since 1970 at `now`) and
// X-Moelab-Signature ("sha256=" and webhook_signature()). The name is resolved once, every address is checked, and the
// connection goes to a checked address: a name that changes its mind in between changes nothing. Redirects are not followed,
// the body of the answer is not read. Certificates are checked against the system's authorities (or SSL_CERT_FILE).
// Never throws for what the receiver or the network does; a stop ends the exchange at once.
WebhookAnswer send_webhook(const WebhookMessage& message, core::TimePoint now, const RequestRules& rules, std::stop_token stop);

// Throws Error(usage) when `url` is none a webhook may have, or its host is known to have an address that `rules` forbid. A name
// that cannot be resolved now is no error: each request looks again.
void check_webhook_url(const std::string& url, const RequestRules& rules);

}  // namespace moelab::server
