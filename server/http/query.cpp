#include "server/http/query.h"

#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "core/config.h"
#include "core/error.h"
#include "core/nearest_name.h"

namespace moelab::server::http {

namespace {

core::Error bad(const std::string& name, const std::string& message) {
  return core::Error(core::ErrorKind::usage, "Query parameter '" + name + "' " + message + ".");
}

std::optional<std::int64_t> to_integer(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Query::Query(const httplib::Request& request, const std::vector<std::string>& known) : request_(request) {
  for (const auto& [name, value] : request.params) {
    if (name == "token") continue;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw bad(name, "is not known here" + core::did_you_mean(name, known));
    }
    if (request.get_param_value_count(name) > 1) throw bad(name, "is given twice; separate values by commas");
  }
}

bool Query::has(const std::string& name) const {
  return !request_.get_param_value(name).empty();
}

std::optional<std::int64_t> Query::optional_integer(const std::string& name, std::int64_t min, std::int64_t max) const {
  if (!has(name)) return std::nullopt;
  const auto value = to_integer(request_.get_param_value(name));
  if (!value || *value < min || *value > max) {
    throw bad(name, "must be an integer from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return value;
}

std::int64_t Query::integer(const std::string& name, std::int64_t fallback, std::int64_t min, std::int64_t max) const {
  return optional_integer(name, min, max).value_or(fallback);
}

std::string Query::text(const std::string& name, std::size_t max_length) const {
  std::string value = request_.get_param_value(name);
  if (value.size() > max_length) throw bad(name, "must be at most " + std::to_string(max_length) + " bytes long");
  return value;
}

std::vector<std::string> Query::list(const std::string& name, std::size_t max_length) const {
  std::istringstream items(text(name, max_length));
  std::vector<std::string> values;
  for (std::string item; std::getline(items, item, ',');) {
    if (!item.empty()) values.push_back(item);
  }
  return values;
}

bool Query::flag(const std::string& name) const {
  return choice(name, {"false", "true"}) == "true";
}

std::string Query::choice(const std::string& name, const std::vector<std::string>& choices) const {
  if (!has(name)) return choices.front();
  const std::string value = request_.get_param_value(name);
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return value;
  std::string all;
  for (const std::string& choice : choices) all += (all.empty() ? "" : ", ") + choice;
  throw bad(name, "must be one of " + all);
}

std::int64_t parse_id(const std::string& text, const std::string& noun) {
  const auto id = to_integer(text);
  if (!id || *id < 1 || *id > static_cast<std::int64_t>(core::kMaxInt)) {
    throw core::Error(core::ErrorKind::not_found, "There is no " + noun + " with this id; ids are whole numbers from 1.");
  }
  return *id;
}

}  // namespace moelab::server::http
