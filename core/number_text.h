// Owns numbers as text that reads back to the same value, independent of the locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moelab::core {

std::string number_text(double value);
// With six significant digits, or rounded to a whole number. Six digits forgive the last bits of pow() and exp(), which differ between C
// libraries and would change run keys.
std::string rounded_text(double value, bool whole);
// "1 run", "2 runs"; `many` where an s does not do: counted(2, "family", "families").
std::string counted(std::int64_t count, std::string_view one, std::string_view many = "");
// The whole of `text` as a finite number; nullopt otherwise.
std::optional<double> parse_number(std::string_view text);
// The whole of `text` as an integer; 1e3 and 200.0 count, 1.5 and values beyond kMaxInt do not.
std::optional<std::int64_t> parse_integer(std::string_view text);

}  // namespace moelab::core
