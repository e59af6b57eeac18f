// Owns reading query parameters with types and limits. Used by every <noun>_api.cpp; all errors are Error(usage), HTTP 400.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace httplib {
struct Request;
}

namespace moelab::server::http {

class Query {
 public:
  // Throws when the request has a parameter that is not in `known` (`token` always is), or one of them twice: a misspelt
  // filter must not pass for no filter.
  Query(const httplib::Request& request, const std::vector<std::string>& known);

  bool has(const std::string& name) const;
  // An absent parameter is the fallback. An empty one counts as absent.
  std::int64_t integer(const std::string& name, std::int64_t fallback, std::int64_t min, std::int64_t max) const;
  std::optional<std::int64_t> optional_integer(const std::string& name, std::int64_t min, std::int64_t max) const;
  std::string text(const std::string& name, std::size_t max_length) const;
  // Comma-separated, empty items dropped.
  std::vector<std::string> list(const std::string& name, std::size_t max_length) const;
  bool flag(const std::string& name) const;  // true or false; absent = false
  std::string choice(const std::string& name, const std::vector<std::string>& choices) const;  // fallback: the first

 private:
  const httplib::Request& request_;
};

// Digits only, 1 .. 2^53; throws Error(not_found) otherwise, as no thing has such an id. `noun` is "run" or "experiment".
std::int64_t parse_id(const std::string& text, const std::string& noun);

}  // namespace moelab::server::http
