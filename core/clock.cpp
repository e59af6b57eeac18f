#include "core/clock.h"

#include <cstdio>

#include "core/error.h"

namespace moelab::core {

using namespace std::chrono;

std::string to_rfc3339(TimePoint time) {
  const auto ms = floor<milliseconds>(time);
  const auto day = floor<days>(ms);
  const year_month_day date{day};
  const hh_mm_ss<milliseconds> clock{ms - day};
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count()));
  return text;
}

TimePoint from_rfc3339(const std::string& text) {
  int year_number = 0, hour = 0, minute = 0;
  unsigned month_number = 0, day_number = 0;
  double second = 0;
  char zone[8] = "";
  const int read =
      std::sscanf(text.c_str(), "%4d-%2u-%2uT%2d:%2d:%lf%7s", &year_number, &month_number, &day_number, &hour, &minute, &second, zone);
  const year_month_day date{year{year_number}, month{month_number}, day{day_number}};
  const bool in_range = hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 61;
  if (read != 7 || std::string(zone) != "Z" || !date.ok() || !in_range) {
    throw Error(ErrorKind::config, "'" + text + "' is not a UTC time such as 2026-11-22T10:00:00.000Z");
  }
  const auto ms = milliseconds(static_cast<std::int64_t>(second * 1000 + 0.5));
  return TimePoint(sys_days{date} + hours(hour) + minutes(minute) + ms);
}

}  // namespace moelab::core
