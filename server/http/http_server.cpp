#include "server/http/http_server.h"

#include <httplib.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>
#include <thread>

#include "core/error.h"
#include "server/http/auth.h"
#include "server/http/error_json.h"
#include "server/http/reply.h"
#include "server/http/route.h"
#include "server/http/static_site.h"
#include "server/http/stream_gate.h"

namespace moelab::server::http {

namespace {

using core::Error;
using core::ErrorKind;

// A connection holds its thread while it is kept alive, so the pool has room for idle browsers beside every stream.
constexpr std::size_t kThreads = kMaxStreams + 32;
constexpr time_t kKeepAliveSeconds = 2;
constexpr std::size_t kKeepAliveRequests = 1000;
constexpr std::size_t kMaxPathBytes = 1024;
constexpr int kBacklog = 128;

// The dashboard's component library sets style attributes; scripts come from its own files only.
constexpr const char* kContentPolicy =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

class Listener final : public httplib::Server {
 public:
  // The library's own backlog is 5, fewer than the connections one dashboard opens.
  void widen_backlog() { ::listen(svr_sock_, kBacklog); }
};

httplib::Headers security_headers() {
  return {{"X-Content-Type-Options", "nosniff"},
          {"X-Frame-Options", "DENY"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Content-Security-Policy", kContentPolicy}};
}

void reply_error(httplib::Response& response, int status, const Error& error) {
  reply_json(response, error_json(error), status);
}

bool wants_page(const httplib::Request& request) {
  return !request.path.starts_with("/api/") && request.get_header_value("Accept").find("text/html") != std::string::npos;
}

void reply_token_page(httplib::Response& response) {
  response.status = 401;
  response.set_content(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Moelab</title>"
      "<body style=\"font-family:sans-serif;max-width:40em;margin:4em auto;padding:0 1em\"><h1>Moelab needs its token</h1>"
      "<p>Open this address with <code>?token=TOKEN</code> at its end. <code>moelab serve</code> prints the whole address; "
      "the token is also in the file <code>token</code> of the daemon's home.</p></body></html>",
      "text/html; charset=utf-8");
}

// Without either header a request has no body (RFC 9112, 6.3): `curl -X POST` sends it so.
bool announces_body(const httplib::Request& request) {
  return request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
}

// May stand in a Location header as it is: no second slash that would name a host, no byte that needs an escape.
bool is_plain_path(const std::string& path) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-_.";
  return path.starts_with('/') && !path.starts_with("//") && path.find_first_not_of(allowed) == std::string::npos;
}

std::string display_host(const std::string& host) {
  if (host == "0.0.0.0" || host == "::") return "127.0.0.1";
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

struct HttpServer::Parts {
  Parts(RunService& service, Webhooks& webhooks, EventBus& bus, MetricsRegistry& metrics, HttpOptions wanted)
      : options(std::move(wanted)),
        guard(options.token),
        streams(kMaxStreams),
        api{service, webhooks, bus, metrics, streams},
        site(options.web_root) {}

  void configure();
  void bind();
  void handle(const httplib::Request& request, httplib::Response& response);
  httplib::Server::HandlerResponse admit(const httplib::Request& request, httplib::Response& response);
  void dispatch(const httplib::Request& request, httplib::Response& response);

  HttpOptions options;
  Guard guard;
  StreamGate streams;
  Api api;
  StaticSite site;
  Listener listener;
  int port = 0;
  std::thread thread;
};

void HttpServer::Parts::configure() {
  listener.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  listener.set_keep_alive_timeout(kKeepAliveSeconds);
  listener.set_keep_alive_max_count(kKeepAliveRequests);
  listener.set_payload_max_length(kMaxBodyBytes);
  listener.set_tcp_nodelay(true);
  listener.set_default_headers(security_headers());
  // Not the library's default SO_REUSEPORT, which would let two daemons share a port without a word.
  listener.set_socket_options([](int socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  listener.set_pre_routing_handler([this](const auto& request, auto& response) { return admit(request, response); });
  const auto handler = [this](const httplib::Request& request, httplib::Response& response) { handle(request, response); };
  const char* any = "[\\s\\S]*";  // our own table decides: it can tell 404 from 405
  listener.Get(any, handler).Post(any, handler).Put(any, handler).Patch(any, handler).Delete(any, handler).Options(any, handler);
  // What the library refuses by itself (body too large, malformed request) comes without a body.
  listener.set_error_handler([](const httplib::Request&, httplib::Response& response) {
    if (!response.body.empty()) return;
    const bool too_large = response.status == 413;
    reply_error(response, response.status,
                Error(ErrorKind::usage, too_large ? "The request body is larger than " + std::to_string(kMaxBodyBytes >> 20) + " MiB."
                                                  : "This is not a request the daemon understands."));
  });
}

void HttpServer::Parts::bind() {
  errno = 0;
  port =
      options.port == 0 ? listener.bind_to_any_port(options.host) : (listener.bind_to_port(options.host, options.port) ? options.port : -1);
  const int reason = errno;
  if (port > 0) {
    listener.widen_backlog();
    return;
  }
  const std::string wanted = std::to_string(options.port);
  if (reason == EADDRINUSE) {
    throw Error(ErrorKind::conflict, "Port " + wanted + " on " + options.host +
                                         " is in use by another program: choose another with --port N, or --port 0 for any free one.");
  }
  if (reason == EACCES) throw Error(ErrorKind::usage, "Port " + wanted + " needs privileges: choose one above 1023 with --port N.");
  throw Error(ErrorKind::usage,
              "Cannot listen on " + options.host + ": give an address of this machine with --host, e.g. 127.0.0.1 or 0.0.0.0.");
}

// Runs before the body is read.
httplib::Server::HandlerResponse HttpServer::Parts::admit(const httplib::Request& request, httplib::Response& response) {
  using enum httplib::Server::HandlerResponse;
  if (request.path.size() > kMaxPathBytes) {
    reply_error(response, 414, Error(ErrorKind::usage, "The path of the request is too long."));
    return Handled;
  }
  if (const auto refusal = guard.check(request)) {
    if (refusal->status == 401 && wants_page(request)) {
      reply_token_page(response);
    } else {
      reply_error(response, refusal->status, refusal->error);
    }
    return Handled;
  }
  // The library would wait for the end of the connection, and then refuse.
  if (request.method != "GET" && request.method != "HEAD" && !announces_body(request)) {
    handle(request, response);
    return Handled;
  }
  return Unhandled;
}

void HttpServer::Parts::dispatch(const httplib::Request& request, httplib::Response& response) {
  const Match match = find_route(request.method, request.path);
  if (match.route) return match.route->handler(api, {request, match.id, match.verb}, response);
  if (!match.allow.empty()) {
    response.set_header("Allow", match.allow);
    return reply_error(response, 405, Error(ErrorKind::usage, request.path + " takes " + match.allow + " only."));
  }
  if (request.path.starts_with("/api/") || (request.method != "GET" && request.method != "HEAD")) {
    throw Error(ErrorKind::not_found, "There is no such endpoint; /openapi.json lists them.");
  }
  if (guard.has_token_parameter(request)) {  // from here on the cookie does, and the token leaves the address bar
    response.set_header("Set-Cookie", guard.cookie());
    return response.set_redirect(is_plain_path(request.path) ? request.path : "/", 303);
  }
  site.serve(request, response);
}

void HttpServer::Parts::handle(const httplib::Request& request, httplib::Response& response) {
  try {
    dispatch(request, response);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal || error.kind() == ErrorKind::storage) {
      spdlog::error("{} {}: {}", request.method, request.path, error.what());
    }
    reply_error(response, http_status(error.kind()), error);
  } catch (const std::exception& error) {
    spdlog::error("{} {}: {}", request.method, request.path, error.what());
    reply_error(response, 500, Error(ErrorKind::internal, "Internal error; the daemon's log has the details."));
  }
}

HttpServer::HttpServer(RunService& service, Webhooks& webhooks, EventBus& bus, MetricsRegistry& metrics, HttpOptions options)
    : parts_(std::make_unique<Parts>(service, webhooks, bus, metrics, std::move(options))) {
  parts_->configure();
  parts_->bind();
  parts_->thread = std::thread([parts = parts_.get()] { parts->listener.listen_after_bind(); });
  // stop() before the accept loop runs would be lost.
  while (!parts_->listener.is_running()) std::this_thread::yield();
}

HttpServer::~HttpServer() {
  parts_->streams.close();
  parts_->listener.stop();
  parts_->thread.join();
}

int HttpServer::port() const {
  return parts_->port;
}

std::string HttpServer::url() const {
  return "http://" + display_host(parts_->options.host) + ":" + std::to_string(parts_->port);
}

}  // namespace moelab::server::http
