#include "server/cli/format.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/json_number.h"

namespace moelab::server::cli {

namespace {

std::string print(const char* format, auto... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace

std::string fixed(double value, int decimals) {
  return print("%.*f", decimals, value);
}

std::string with_sign(double value, int decimals) {
  return print("%+.*f", decimals, value);
}

std::string count(double value) {
  std::string digits = print("%.0f", value);
  const std::size_t sign = digits.starts_with('-') ? 1 : 0;
  if (!std::isfinite(value)) return digits;
  for (auto place = static_cast<std::ptrdiff_t>(digits.size()) - 3; place > static_cast<std::ptrdiff_t>(sign); place -= 3) {
    digits.insert(static_cast<std::size_t>(place), ",");
  }
  return digits;
}

std::string millions(double value, int decimals) {
  return fixed(value / 1e6, decimals) + "M";
}

std::string large(double value) {
  for (const auto& [limit, unit] : {std::pair{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    if (std::abs(value) >= limit) return print("%.3g", value / limit) + unit;
  }
  return print("%.3g", value);
}

std::string mebibytes(double mib) {
  return mib < 10'000 ? print("%.0f MiB", mib) : gibibytes(mib);
}

std::string gibibytes(double mib) {
  return print("%.1f GiB", mib / 1024);
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "";
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return print("%llds", whole);
  if (whole < 3600) return print("%lldm %02llds", whole / 60, whole % 60);
  if (whole < 86400) return print("%lldh %02lldm", whole / 3600, whole / 60 % 60);
  return print("%lldd %02lldh", whole / 86400, whole / 3600 % 24);
}

std::string percent(double fraction) {
  return print("%.0f%%", std::floor(fraction * 100));
}

std::string significant(double value) {
  return print("%.6g", value);
}

std::string full(double value) {
  char text[64];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return error == std::errc{} ? std::string(text, end) : "";
}

std::string plain(const nlohmann::json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return full(value.get<double>());
  return value.dump();
}

bool has_number(const nlohmann::json& object, const std::string& key) {
  const auto found = object.find(key);
  return found != object.end() && (found->is_number() || found->is_string());
}

double number_or(const nlohmann::json& object, const std::string& key, double missing) {
  return has_number(object, key) ? core::number_from_json(object.at(key)) : missing;
}

std::string text_or(const nlohmann::json& object, const std::string& key, const std::string& missing) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : missing;
}

std::string knobs_text(const nlohmann::json& varied) {
  std::string text;
  for (const auto& [path, value] : varied.items())
    text += (text.empty() ? "" : " ") + path + "=" + (value.is_null() ? "null" : plain(value));
  return text;
}

}  // namespace moelab::server::cli
