// Owns what the value of an option must look like, and the sentence when it does not: CLI11's own checks print the limits of their types,
// up to 309 digits of them. Used by the commands that take numbers, sizes, times, choices and reasons.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace moelab::server::cli {

inline constexpr std::int64_t kNoLimit = INT64_MAX;

// For Option::check.
CLI::Validator whole_number(std::int64_t min, std::int64_t max = kNoLimit);
CLI::Validator number_from(double min);
CLI::Validator one_of(std::vector<std::string> choices);
CLI::Validator one_line();  // free_text.h

// For Option::transform: bytes from "50GB" (10^9), seconds from "12h".
CLI::Validator size_in_bytes();
CLI::Validator time_in_seconds();

}  // namespace moelab::server::cli
