// Owns reading a JSON request body with every problem reported in one pass. Used by experiments_api.cpp and runs_api.cpp.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"

namespace httplib {
struct Request;
}

namespace moelab::server::http {

class RequestBody {
 public:
  // Throws Error(usage) when the body is no JSON object or its Content-Type is not application/json: a form on another
  // site can post text, never JSON.
  RequestBody(const httplib::Request& request, std::vector<std::string> known);

  // Absent or null: the fallback. A wrong type is noted for finish().
  std::string text(const std::string& key, const std::string& fallback = "");
  bool flag(const std::string& key);
  std::int64_t integer(const std::string& key, std::int64_t min, std::int64_t max);  // absent: min
  bool has(const std::string& key) const { return find(key) != nullptr; }
  std::vector<std::string> texts(const std::string& key);
  std::vector<std::int64_t> ids(const std::string& key, std::size_t max_count);
  // As it was sent; null when absent. What is wrong with it is noted by the caller.
  nlohmann::json value(const std::string& key) const;
  void require(const std::string& key);
  void note(const std::string& key, const std::string& message);

  // Throws Error(usage) listing every problem noted, unknown keys included. Call it before acting.
  void finish() const;

 private:
  const nlohmann::json* find(const std::string& key) const;

  nlohmann::json json_;
  std::vector<core::Problem> problems_;
};

}  // namespace moelab::server::http
