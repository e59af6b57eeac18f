#include "server/http/route.h"

#include <algorithm>
#include <optional>

namespace moelab::server::http {

namespace {

constexpr std::string_view kId = "{id}", kVerb = "{verb}";

struct Parts {
  std::string_view id, verb;
};

// `path` against `pattern`, segment by segment; nullopt when it does not fit.
std::optional<Parts> match(std::string_view pattern, std::string_view path) {
  Parts parts;
  const auto next = [](std::string_view& text) {
    const std::string_view segment = text.substr(0, text.find('/'));
    text.remove_prefix(std::min(text.size(), segment.size() + 1));
    return segment;
  };
  if (std::count(pattern.begin(), pattern.end(), '/') != std::count(path.begin(), path.end(), '/')) return std::nullopt;
  while (!pattern.empty() || !path.empty()) {
    const std::string_view wanted = next(pattern), there = next(path);
    const bool is_place = wanted == kId || wanted == kVerb;
    if (is_place ? there.empty() : wanted != there) return std::nullopt;
    if (is_place) (wanted == kId ? parts.id : parts.verb) = there;
  }
  return parts;
}

}  // namespace

Match find_route(std::string_view method, std::string_view path) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  Match found;
  for (const Route& route : routes()) {
    const std::optional<Parts> parts = match(route.path, path);
    if (!parts) continue;
    if (route.method == wanted) {
      found.route = &route;
      found.id = parts->id;
      found.verb = parts->verb;
      return found;
    }
    found.allow += (found.allow.empty() ? "" : ", ") + std::string(route.method) + (route.method == "GET" ? ", HEAD" : "");
  }
  return found;
}

}  // namespace moelab::server::http
