#include "server/notice/webhook_url.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>

#include "core/error.h"

namespace moelab::server {
namespace {

constexpr int kHttpPort = 80, kHttpsPort = 443, kMaxPort = 65535;
constexpr std::size_t kMaxHost = 253;

[[noreturn]] void refuse_url(const std::string& why) {
  throw core::Error(core::ErrorKind::usage, "url: " + why + "; write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH");
}

bool all_of(std::string_view text, std::string_view allowed) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return std::isalnum(static_cast<unsigned char>(c)) || allowed.find(c) != std::string_view::npos; });
}

int port_of(std::string_view text, int fallback) {
  if (text.empty()) return fallback;
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > kMaxPort) {
    refuse_url("'" + std::string(text) + "' is no port");
  }
  return port;
}

}  // namespace

std::string WebhookUrl::authority() const {
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (https ? kHttpsPort : kHttpPort) ? shown : shown + ":" + std::to_string(port);
}

WebhookUrl parse_webhook_url(const std::string& url) {
  if (url.empty()) refuse_url("it is empty");
  if (url.size() > kMaxWebhookUrl) refuse_url("it is longer than " + std::to_string(kMaxWebhookUrl) + " characters");
  const bool plain =
      std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '\\' && c != '"' && c != '<' && c != '>'; });
  if (!plain) refuse_url("it holds a blank, a quote, a backslash or a character beyond ASCII; write such characters as %XX, names as xn--");
  const std::size_t scheme_end = url.find("://");
  std::string scheme = url.substr(0, scheme_end == std::string::npos ? 0 : scheme_end);
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (scheme != "http" && scheme != "https") refuse_url(scheme.empty() ? "it has no scheme" : "the scheme '" + scheme + "' is not served");
  if (url.find('#') != std::string::npos) refuse_url("it has a fragment (#), which is never sent");

  WebhookUrl parsed;
  parsed.https = scheme == "https";
  const std::size_t begin = scheme_end + 3;
  const std::size_t end = std::min(url.find_first_of("/?", begin), url.size());
  const std::string authority = url.substr(begin, end - begin);
  if (authority.find('@') != std::string::npos)
    refuse_url("it holds a user name or password, which would be shown to everybody who lists webhooks");
  std::string port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string::npos || (close + 1 < authority.size() && authority[close + 1] != ':'))
      refuse_url("its IPv6 address is not closed by ]");
    parsed.host = authority.substr(1, close - 1);
    port = close + 2 < authority.size() ? authority.substr(close + 2) : "";
    if (parsed.host.find(':') == std::string::npos || !all_of(parsed.host, ":.")) refuse_url("'" + parsed.host + "' is no IPv6 address");
  } else {
    const std::size_t colon = authority.find(':');
    parsed.host = authority.substr(0, colon);
    port = colon == std::string::npos ? "" : authority.substr(colon + 1);
    if (!all_of(parsed.host, "-._")) refuse_url("'" + parsed.host + "' is no host name");
  }
  if (parsed.host.empty()) refuse_url("it names no host");
  if (parsed.host.size() > kMaxHost) refuse_url("its host name is longer than " + std::to_string(kMaxHost) + " characters");
  parsed.port = port_of(port, parsed.https ? kHttpsPort : kHttpPort);
  parsed.target = url.substr(end);
  if (!parsed.target.starts_with('/')) parsed.target.insert(0, "/");
  return parsed;
}

}  // namespace moelab::server
