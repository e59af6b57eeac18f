#include "server/notice/webhook_request.h"

#include <fcntl.h>
#include <httplib.h>
#include <openssl/hmac.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "server/hex.h"
#include "server/notice/webhook_url.h"

namespace moelab::server {
namespace {

// Ends a socket's connection at a deadline or on a stop, whatever httplib is doing with it: its own time limits are for each
// read and write, so a receiver that sends a byte now and then would hold us for ever.
class Watchdog {
 public:
  Watchdog(std::chrono::steady_clock::time_point deadline, std::stop_token stop)
      : thread_([this, deadline, stop = std::move(stop)] { watch(deadline, stop); }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
    close_copy();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // A copy of the descriptor: the original may be closed, and its number given to another file, at any time.
  void guard(int socket) {
    const std::lock_guard lock(mutex_);
    close_copy();
    copy_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (bitten_ && copy_ >= 0) ::shutdown(copy_, SHUT_RDWR);
  }
  bool bitten() const {
    const std::lock_guard lock(mutex_);
    return bitten_;
  }

 private:
  void watch(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, stop, deadline, [this] { return done_; });
    if (done_) return;
    bitten_ = true;
    if (copy_ >= 0) ::shutdown(copy_, SHUT_RDWR);
  }
  void close_copy() {
    if (copy_ >= 0) ::close(copy_);
    copy_ = -1;
  }

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool done_ = false, bitten_ = false;
  int copy_ = -1;
  std::thread thread_;  // last: it uses what stands above
};

std::string transport_error(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
      return "the connection was refused";
    case httplib::Error::ConnectionTimeout:
      return "the connection was not made in time";
    case httplib::Error::SSLServerVerification:
      return "the certificate is not one of this host that is signed by a known authority";
    case httplib::Error::SSLConnection:
    case httplib::Error::SSLLoadingCerts:
      return "no TLS connection can be made";
    default:
      return "the connection ended without an answer";
  }
}

std::string refusal(const std::string& host, const std::string& address) {
  const std::string what = host == address ? address + " is" : host + " has the address " + address + ", which is";
  return what + " private, local or reserved: webhooks do not go there unless the daemon is started with --webhook-private";
}

// The addresses of `host`, all of them allowed. Throws Error(unreachable), or Error(usage) for a forbidden one.
std::vector<std::string> checked_addresses(const std::string& host, const RequestRules& rules) {
  std::vector<std::string> addresses = rules.resolve(host, rules.timeout);
  for (const std::string& address : addresses) {
    if (!rules.allow_private && !is_public_address(address)) throw core::Error(core::ErrorKind::usage, refusal(host, address));
  }
  return addresses;
}

std::unique_ptr<httplib::ClientImpl> make_client(const WebhookUrl& url) {
  if (url.https) return std::make_unique<httplib::SSLClient>(url.host, url.port);
  return std::make_unique<httplib::ClientImpl>(url.host, url.port);
}

WebhookAnswer exchange(const WebhookUrl& url, const std::string& address, const httplib::Headers& headers, const std::string& body,
                       const RequestRules& rules, Watchdog& watchdog, bool& connected) {
  const auto client = make_client(url);
  client->set_hostname_addr_map({{url.host, address}});
  client->set_connection_timeout(rules.timeout);
  client->set_read_timeout(rules.timeout);
  client->set_write_timeout(rules.timeout);
  client->set_tcp_nodelay(true);  // head and body are two writes: without it the body waits 40 ms for the receiver's acknowledgement
  client->set_follow_location(false);
  client->set_url_encode(false);
  client->set_socket_options([&](int socket) { watchdog.guard(socket); });
  httplib::Request request;
  request.method = "POST";
  request.path = url.target;
  request.headers = headers;
  request.body = body;
  std::optional<int> status;
  request.response_handler = [&](const httplib::Response& response) {
    status = response.status;
    return false;  // the body is of no interest, and may have no end
  };
  httplib::Response response;
  httplib::Error error = httplib::Error::Success;
  const bool whole = client->send(request, response, error);
  if (!status && whole) status = response.status;  // httplib asks the handler about every answer but 204
  connected = status || (error != httplib::Error::Connection && error != httplib::Error::ConnectionTimeout);
  if (!status) return {std::nullopt, watchdog.bitten() ? "there was no answer in time" : transport_error(error)};
  if (*status >= 200 && *status < 300) return {status, ""};
  const std::string hint = *status >= 300 && *status < 400 ? "; redirects are not followed" : "";
  return {status, "the receiver answered " + std::to_string(*status) + hint};
}

}  // namespace

std::string webhook_signature(const std::string& secret, const std::string& timestamp, const std::string& body) {
  const std::string signed_text = timestamp + "." + body;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  ::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(signed_text.data()),
         signed_text.size(), digest.data(), &length);
  return to_hex({digest.data(), length});
}

WebhookAnswer send_webhook(const WebhookMessage& message, core::TimePoint now, const RequestRules& rules, std::stop_token stop) {
  try {
    const WebhookUrl url = parse_webhook_url(message.url);
    const std::vector<std::string> addresses = checked_addresses(url.host, rules);
    const std::string timestamp = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
    const httplib::Headers headers{{"Host", url.authority()},
                                   {"User-Agent", "moelab/" MOELAB_CODE_VERSION},
                                   {"Content-Type", "application/json"},
                                   {"X-Moelab-Event", message.type},
                                   {"X-Moelab-Delivery", message.delivery_id},
                                   {"X-Moelab-Timestamp", timestamp},
                                   {"X-Moelab-Signature", "sha256=" + webhook_signature(message.secret, timestamp, message.body)}};
    Watchdog watchdog(std::chrono::steady_clock::now() + rules.timeout, stop);
    WebhookAnswer answer{std::nullopt, "the name has no address"};
    for (const std::string& address : addresses) {
      bool connected = false;
      answer = exchange(url, address, headers, message.body, rules, watchdog, connected);
      if (connected || watchdog.bitten()) break;
    }
    return answer;
  } catch (const core::Error& e) {
    return {std::nullopt, e.what()};
  }
}

void check_webhook_url(const std::string& url, const RequestRules& rules) {
  const std::string host = parse_webhook_url(url).host;
  try {
    checked_addresses(host, rules);
  } catch (const core::Error& e) {
    if (e.kind() == core::ErrorKind::usage) throw core::Error(core::ErrorKind::usage, "url: " + std::string(e.what()));
  }
}

}  // namespace moelab::server
