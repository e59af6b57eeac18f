// Owns reading a JSON request body with every problem reported in one pass. Used by the <noun>_api.cpp whose requests have one.
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
  // No body at all is an object without keys. Throws Error(usage) when there is one that is no JSON object, or whose Content-Type is
  // not application/json: a form on another site can post text, never JSON.
  RequestBody(const httplib::Request& request, std::vector<std::string> known);

  // Absent or null: the fallback. A wrong type is noted for finish().
  std::string text(const std::string& key, const std::string& fallback = "");
  // What a person writes for others to read, see free_text.h.
  std::string free_text(const std::string& key);
  bool flag(const std::string& key);
  std::int64_t integer(const std::string& key, std::int64_t min, std::int64_t max);  // absent: min
  bool has(const std::string& key) const { return find(key) != nullptr; }
  int priority();  // the key of that name, which is required
  std::vector<std::string> texts(const std::string& key);
  std::vector<std::int64_t> run_ids();  // of the required key "ids"
  // As it was sent; null when absent. What is wrong with it is noted by the caller.
  nlohmann::json value(const std::string& key) const;
  void require(const std::string& key);
  void note(const std::string& key, const std::string& message);

  // Throws Error(usage) listing every problem noted, unknown keys included. Call it before acting.
  void finish() const;

 private:
  const nlohmann::json* find(const std::string& key) const;

  bool absent_ = false;
  nlohmann::json json_;
  std::vector<core::Problem> problems_;
};

}  // namespace moelab::server::http
