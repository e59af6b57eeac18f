#include "core/event.h"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/json_number.h"

namespace moelab::core {
namespace {

constexpr std::array<std::pair<EventType, std::string_view>, 10> kTypes{{{EventType::started, "started"},
                                                                         {EventType::progress, "progress"},
                                                                         {EventType::metrics, "metrics"},
                                                                         {EventType::eval, "eval"},
                                                                         {EventType::expert_load, "expert_load"},
                                                                         {EventType::checkpoint, "checkpoint"},
                                                                         {EventType::artifact, "artifact"},
                                                                         {EventType::alert, "alert"},
                                                                         {EventType::log, "log"},
                                                                         {EventType::finished, "finished"}}};
constexpr std::array<const char*, 6> kCommonKeys{"v", "seq", "attempt", "step", "time", "type"};

// JSON has no NaN: a diverged loss would silently become null.
void spell_out_non_finite(nlohmann::json& json) {
  if (json.is_number_float()) {
    if (!std::isfinite(json.get<double>())) json = number_to_json(json.get<double>());
  } else if (json.is_structured()) {
    for (auto& item : json) spell_out_non_finite(item);
  }
}

[[noreturn]] void reject(const std::string& line, const std::string& why) {
  throw Error(ErrorKind::storage, "not a journal line (" + why + "): " + line.substr(0, 200));
}

EventType type_from(const std::string& name, const std::string& line) {
  for (const auto& [type, known] : kTypes) {
    if (name == known) return type;
  }
  reject(line, "unknown type '" + name + "'");
}

}  // namespace

std::string to_string(EventType type) {
  for (const auto& [known, name] : kTypes) {
    if (known == type) return std::string(name);
  }
  return "";
}

std::string encode(const Event& event) {
  nlohmann::json json = event.payload;
  for (const char* key : kCommonKeys) {
    if (json.contains(key))
      throw Error(ErrorKind::internal, std::string("the payload of an event may not use the common key '") + key + "'");
  }
  spell_out_non_finite(json);
  json["v"] = kEventFormat;
  json["seq"] = event.seq;
  json["attempt"] = event.attempt;
  json["step"] = event.step;
  json["time"] = event.time;
  json["type"] = to_string(event.type);
  // Text from the outside world (paths, messages) may hold bytes that are not UTF-8: replace them, never lose the event.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Event decode(const std::string& line) {
  nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) reject(line, "no JSON object");
  Event event;
  try {
    if (json.at("v").get<int>() != kEventFormat) reject(line, "format version is not " + std::to_string(kEventFormat));
    event.seq = json.at("seq").get<std::int64_t>();
    event.attempt = json.at("attempt").get<int>();
    event.step = json.at("step").get<std::int64_t>();
    event.time = json.at("time").get<std::string>();
    event.type = type_from(json.at("type").get<std::string>(), line);
  } catch (const nlohmann::json::exception& error) {
    reject(line, error.what());
  }
  for (const char* key : kCommonKeys) json.erase(key);
  event.payload = std::move(json);
  return event;
}

}  // namespace moelab::core
