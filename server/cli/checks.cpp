#include "server/cli/checks.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "core/nearest_name.h"
#include "core/number_text.h"
#include "server/free_text.h"

namespace moelab::server::cli {

namespace {

// What REST takes, see http/openapi.yaml.
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 60;
constexpr std::uint64_t kMaxSeconds = std::uint64_t{100} * 365 * 24 * 3600;
constexpr std::size_t kMaxShown = 40;

// In the words of the one who typed it, cut where somebody has pasted a file.
std::string shown(const std::string& text) {
  return "'" + (text.size() <= kMaxShown ? text : text.substr(0, kMaxShown) + "...") + "'";
}

std::optional<std::int64_t> integer(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// `parse` is one of CLI11's readers of units, which takes a negative number for a huge one.
template <class Parse>
CLI::Validator with_unit(const Parse& parse, std::uint64_t max, const std::string& label, const std::string& remedy) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        std::string number = text;
        bool fits = !text.starts_with('-');
        try {
          fits = fits && parse(number).empty();
        } catch (const CLI::Error&) {
          fits = false;
        }
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
        if (!fits || error != std::errc{} || end != number.data() + number.size() || value > max) return remedy + ", not " + shown(text);
        text = number;
        return "";
      },
      label);
}

}  // namespace

CLI::Validator whole_number(std::int64_t min, std::int64_t max) {
  const std::string range = max == kNoLimit ? "from " + std::to_string(min) + " on" : "from " + std::to_string(min) + " to " + std::to_string(max);
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        const std::optional<std::int64_t> value = integer(text);
        return value && *value >= min && *value <= max ? "" : "must be a whole number " + range + ", not " + shown(text);
      },
      "");
}

CLI::Validator number_from(double min) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        const std::optional<double> value = core::parse_number(text);
        return value && *value >= min ? "" : "must be a number from " + core::number_text(min) + " on, not " + shown(text);
      },
      "");
}

CLI::Validator one_of(std::vector<std::string> choices) {
  std::string all;
  for (const std::string& choice : choices) all += (all.empty() ? "" : " or ") + choice;
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        if (std::find(choices.begin(), choices.end(), text) != choices.end()) return "";
        return "must be " + all + ", not " + shown(text) + core::did_you_mean(text, choices);
      },
      "");
}

CLI::Validator one_line() {
  return CLI::Validator([](std::string& text) { return free_text_fault(text); }, "");
}

CLI::Validator size_in_bytes() {
  return with_unit(CLI::AsSizeValue(/*kb_is_1000=*/true), kMaxBytes, "SIZE", "must be bytes, or a size with a unit such as 50GB");
}

CLI::Validator time_in_seconds() {
  const std::map<std::string, std::uint64_t> units{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}};
  return with_unit(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE), kMaxSeconds, "TIME",
                   "must be seconds, or a time with a unit such as 12h or 30d");
}

}  // namespace moelab::server::cli
