#include "core/number_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <system_error>

#include "core/config.h"

namespace moelab::core {
namespace {

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string number_text(double value) {
  // Shortest would be 1e+05 for 100000: right, and not what people write.
  if (value == std::floor(value) && std::abs(value) <= kMaxInt) return std::to_string(static_cast<std::int64_t>(value));
  std::array<char, 32> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general);
  return error == std::errc{} ? std::string(buffer.data(), end) : std::string();
}

std::string rounded_text(double value, bool whole) {
  std::array<char, 40> buffer;
  std::snprintf(buffer.data(), buffer.size(), whole ? "%.0f" : "%.6g", value);
  return buffer.data();
}

std::string counted(std::int64_t count, std::string_view one, std::string_view many) {
  const std::string plural = many.empty() ? std::string(one) + "s" : std::string(many);
  return std::to_string(count) + " " + (count == 1 ? std::string(one) : plural);
}

std::optional<double> parse_number(std::string_view text) {
  const std::optional<double> value = parse_whole<double>(text);
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return *value == 0 ? 0.0 : *value;  // no negative zero: it would give equal settings two spellings
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  const std::optional<std::int64_t> exact = parse_whole<std::int64_t>(text);
  if (exact) return std::abs(static_cast<double>(*exact)) <= kMaxInt ? exact : std::nullopt;
  const std::optional<double> value = parse_number(text);
  if (!value || *value != std::floor(*value) || std::abs(*value) > kMaxInt) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

}  // namespace moelab::core
