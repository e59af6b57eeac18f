#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/event.h"
#include "core/json_number.h"

using namespace moelab::core;

TEST_CASE("an event survives its line, with NaN and infinities") {
  Event event;
  event.seq = 7;
  event.attempt = 2;
  event.step = 40;
  event.time = "2026-11-22T10:00:00.000Z";
  event.type = EventType::metrics;
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  event.payload = {{"values", {{"train/loss", nan}, {"up", inf}, {"down", -inf}, {"lr", 0.1}}}, {"list", {1.5, nan}}};
  const std::string line = encode(event);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.find("null") == std::string::npos);
  const Event back = decode(line);
  CHECK(back.seq == 7);
  CHECK(back.attempt == 2);
  CHECK(back.step == 40);
  CHECK(back.time == event.time);
  CHECK(back.type == EventType::metrics);
  CHECK(std::isnan(number_from_json(back.payload["values"]["train/loss"])));
  CHECK(number_from_json(back.payload["values"]["up"]) == inf);
  CHECK(number_from_json(back.payload["values"]["down"]) == -inf);
  CHECK(number_from_json(back.payload["values"]["lr"]) == 0.1);
  CHECK(std::isnan(number_from_json(back.payload["list"][1])));
  CHECK(back.payload.size() == 2);
}

TEST_CASE("bytes that are no UTF-8 do not lose an event") {
  Event event;
  event.payload = {{"message", "caf\xe9"}};
  CHECK(decode(encode(event)).payload["message"].get<std::string>().starts_with("caf"));
}

TEST_CASE("every type has a name that reads back") {
  for (int i = 0; i <= static_cast<int>(EventType::finished); ++i) {
    Event event;
    event.type = static_cast<EventType>(i);
    CHECK(decode(encode(event)).type == event.type);
  }
}

TEST_CASE("what is no event is refused") {
  for (const char* line : {"", "{", "[]", "{}", R"({"v":2,"seq":1,"attempt":1,"step":0,"time":"","type":"log"})",
                           R"({"v":1,"seq":1,"attempt":1,"step":0,"time":"","type":"poem"})",
                           R"({"v":1,"seq":"1","attempt":1,"step":0,"time":"","type":"log"})",
                           R"({"v":1,"seq":1,"attempt":1,"step":0,"time":"","type":"log")"}) {
    INFO(line);
    CHECK_THROWS_AS(decode(line), Error);
  }
}

TEST_CASE("a payload cannot shadow the common keys") {
  Event event;
  event.payload = {{"step", 3}};
  CHECK_THROWS_AS(encode(event), Error);
}
