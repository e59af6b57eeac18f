#include "server/http/request_body.h"

#include <httplib.h>

#include <algorithm>

#include "core/nearest_name.h"
#include "server/free_text.h"

namespace moelab::server::http {

namespace {

constexpr std::size_t kMaxIds = 1000;
constexpr std::int64_t kMaxPriority = 1000;

}  // namespace

RequestBody::RequestBody(const httplib::Request& request, std::vector<std::string> known) {
  if (request.body.empty()) {
    absent_ = true;
    json_ = nlohmann::json::object();
    return;
  }
  if (!request.get_header_value("Content-Type").starts_with("application/json")) {
    throw core::Error(core::ErrorKind::usage, "The request body must be sent with 'Content-Type: application/json'.");
  }
  json_ = nlohmann::json::parse(request.body, nullptr, false);
  if (!json_.is_object()) throw core::Error(core::ErrorKind::usage, "The request body must be a JSON object.");
  for (const auto& [key, value] : json_.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) note(key, "is not known here" + core::did_you_mean(key, known));
  }
}

const nlohmann::json* RequestBody::find(const std::string& key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void RequestBody::note(const std::string& key, const std::string& message) {
  problems_.push_back({key, 0, message});
}

std::string RequestBody::text(const std::string& key, const std::string& fallback) {
  const nlohmann::json* value = find(key);
  if (!value) return fallback;
  if (value->is_string()) return value->get<std::string>();
  note(key, "must be a string");
  return fallback;
}

std::string RequestBody::free_text(const std::string& key) {
  std::string value = text(key);
  const std::string fault = free_text_fault(value);
  if (!fault.empty()) note(key, fault);
  return value;
}

bool RequestBody::flag(const std::string& key) {
  const nlohmann::json* value = find(key);
  if (!value) return false;
  if (value->is_boolean()) return value->get<bool>();
  note(key, "must be true or false");
  return false;
}

std::int64_t RequestBody::integer(const std::string& key, std::int64_t min, std::int64_t max) {
  const nlohmann::json* value = find(key);
  if (!value) return min;
  if (value->is_number_integer() && *value >= min && *value <= max) return value->get<std::int64_t>();
  note(key, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return min;
}

std::vector<std::string> RequestBody::texts(const std::string& key) {
  const nlohmann::json* value = find(key);
  if (!value) return {};
  const bool fits = value->is_array() && std::all_of(value->begin(), value->end(), [](const auto& item) { return item.is_string(); });
  if (fits) return value->get<std::vector<std::string>>();
  note(key, "must be a list of strings");
  return {};
}

int RequestBody::priority() {
  require("priority");
  return static_cast<int>(integer("priority", -kMaxPriority, kMaxPriority));
}

std::vector<std::int64_t> RequestBody::run_ids() {
  require("ids");
  const nlohmann::json* value = find("ids");
  if (!value) return {};
  const auto is_id = [](const nlohmann::json& item) { return item.is_number_integer() && item > 0 && item <= INT64_MAX; };
  if (value->is_array() && !value->empty() && value->size() <= kMaxIds && std::all_of(value->begin(), value->end(), is_id)) {
    return value->get<std::vector<std::int64_t>>();
  }
  note("ids", "must be a list of 1 to " + std::to_string(kMaxIds) + " ids");
  return {};
}

nlohmann::json RequestBody::value(const std::string& key) const {
  const nlohmann::json* value = find(key);
  return value ? *value : nlohmann::json();
}

void RequestBody::require(const std::string& key) {
  if (!find(key)) note(key, "is required");
}

void RequestBody::finish() const {
  if (problems_.empty()) return;
  if (!absent_) throw core::Error(core::ErrorKind::usage, "request body", problems_);
  std::string keys;
  for (const core::Problem& problem : problems_) keys += (keys.empty() ? "'" : " and '") + problem.path + "'";
  throw core::Error(core::ErrorKind::usage,
                    "The request has no body: send a JSON object with " + keys + " as 'Content-Type: application/json'.");
}

}  // namespace moelab::server::http
