// Owns numbers as text that reads back to the same value, independent of the locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moelab::core {

std::string number_text(double value);
// The whole of `text` as a finite number; nullopt otherwise.
std::optional<double> parse_number(std::string_view text);
// The whole of `text` as an integer; 1e3 and 200.0 count, 1.5 and values beyond kMaxInt do not.
std::optional<std::int64_t> parse_integer(std::string_view text);

}  // namespace moelab::core
