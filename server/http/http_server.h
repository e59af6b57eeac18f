// Owns the HTTP front: socket, thread pool, dispatch, the wrapper that turns errors into answers, security headers.
// Started by cli/serve_command.cpp and by tests; handlers are in the <noun>_api.cpp files.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

namespace moelab::server {
class EventBus;
class MetricsRegistry;
class RunService;
class Webhooks;
}  // namespace moelab::server

namespace moelab::server::http {

inline constexpr int kDefaultPort = 7070;
inline constexpr int kMaxStreams = 32;                 // event streams open at once
inline constexpr std::size_t kMaxBodyBytes = 4 << 20;  // of a request

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = kDefaultPort;         // 0 = any free one
  std::string token;               // empty: none needed
  std::filesystem::path web_root;  // built dashboard; empty: none
};

class HttpServer {
 public:
  // Binds and starts to answer on its own threads. `service`, `webhooks`, `bus` and `metrics` must outlive the server. Throws
  // Error(conflict) when the port is in use, Error(usage) when the address is not one of this machine.
  HttpServer(RunService& service, Webhooks& webhooks, EventBus& bus, MetricsRegistry& metrics, HttpOptions options);
  // Ends event streams, lets running requests finish, closes the port.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  // Where a client on this machine reaches it, e.g. http://127.0.0.1:7070
  std::string url() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace moelab::server::http
