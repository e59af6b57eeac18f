// Owns what may be the URL of a webhook: http or https, a host, perhaps a port, path and query; nothing a parser could read in two
// ways. Called when a webhook is made, and before each request.
#pragma once

#include <string>

namespace moelab::server {

inline constexpr std::size_t kMaxWebhookUrl = 2048;

struct WebhookUrl {
  bool https = false;
  std::string host;    // name, IPv4 or IPv6 address without brackets
  int port = 0;        // [1, 65535]
  std::string target;  // path and query, "/" at least
  // As in the Host header: the port only where it is not the scheme's own, IPv6 in brackets.
  std::string authority() const;
};

// Throws Error(usage) that says what is wrong with it and what is right.
WebhookUrl parse_webhook_url(const std::string& url);

}  // namespace moelab::server
