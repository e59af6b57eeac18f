// Owns what an endpoint is: method, path with {id} for an id and {verb} for a last segment, handler. The table is in routes.cpp;
// http_server.cpp dispatches.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace moelab::server {
class EventBus;
class MetricsRegistry;
class RunService;
class Webhooks;
}  // namespace moelab::server

namespace moelab::server::http {

class StreamGate;

// What handlers work on; lives as long as the server.
struct Api {
  RunService& service;
  Webhooks& webhooks;
  EventBus& bus;
  MetricsRegistry& metrics;
  StreamGate& streams;
};

struct Call {
  const httplib::Request& request;
  std::string_view id;    // the text at {id}; empty when the path has none
  std::string_view verb;  // the text at {verb}, likewise
};

// Runs on a thread of the HTTP pool; may throw core::Error.
using Handler = void (*)(Api& api, const Call& call, httplib::Response& response);

struct Route {
  std::string_view method;
  std::string_view path;
  Handler handler;
};

const std::vector<Route>& routes();

struct Match {
  const Route* route = nullptr;  // null: no such path, or not with this method
  std::string_view id, verb;
  std::string allow;  // methods that the path has, "GET, HEAD"; empty: no such path
};

// `path` is decoded, without the query. HEAD is served by GET's handler. The match points into `path`.
Match find_route(std::string_view method, std::string_view path);

}  // namespace moelab::server::http
