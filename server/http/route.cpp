#include "server/http/route.h"

#include <optional>

namespace moelab::server::http {

namespace {

constexpr std::string_view kId = "{id}";

// The text at {id}, "" for a path without one; nullopt when `path` does not fit `pattern`.
std::optional<std::string_view> match(std::string_view pattern, std::string_view path) {
  const std::size_t place = pattern.find(kId);
  if (place == std::string_view::npos) return pattern == path ? std::optional<std::string_view>("") : std::nullopt;
  const std::string_view before = pattern.substr(0, place), after = pattern.substr(place + kId.size());
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) return std::nullopt;
  const std::string_view id = path.substr(before.size(), path.size() - before.size() - after.size());
  return id.find('/') == std::string_view::npos ? std::optional(id) : std::nullopt;
}

}  // namespace

Match find_route(std::string_view method, std::string_view path) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  Match found;
  for (const Route& route : routes()) {
    const auto id = match(route.path, path);
    if (!id) continue;
    if (route.method == wanted) {
      found.route = &route;
      found.id = *id;
      return found;
    }
    found.allow += (found.allow.empty() ? "" : ", ") + std::string(route.method) + (route.method == "GET" ? ", HEAD" : "");
  }
  return found;
}

}  // namespace moelab::server::http
