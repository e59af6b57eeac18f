// Owns numbers as people read them. Used by the commands' tables; --json and --csv carry full precision instead.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace moelab::server::cli {

std::string fixed(double value, int decimals);         // "1.234"; "nan" and "inf" as such
std::string with_sign(double value, int decimals);     // "+0.012", "-0.003"
std::string count(double value);                       // "1,234,567"
std::string millions(double value, int decimals = 2);  // "401.68M"
std::string large(double value);                       // "1.23G", "4.5k"
std::string mebibytes(double mib);                     // "830 MiB", "12.4 GiB"
std::string gibibytes(double mib);                     // "0.8 GiB", "12.4 GiB": memory of devices
std::string duration(double seconds);                  // "42s", "3m 05s", "2h 10m", "1d 03h"
std::string percent(double fraction);                  // "62%"
std::string significant(double value);                 // six digits: "4.31667", "1.2e-05"
std::string full(double value);                        // shortest text that reads back as the same double

// Of JSON answers: the text of a number in full precision, of a string, "" of null.
std::string plain(const nlohmann::json& value);
// A number, or one of the strings "NaN", "Infinity", "-Infinity"; `missing` for null or absence.
double number_or(const nlohmann::json& object, const std::string& key, double missing);
bool has_number(const nlohmann::json& object, const std::string& key);
std::string text_or(const nlohmann::json& object, const std::string& key, const std::string& missing = "");

// "moe.lb_coeff=0.01 seed=2"
std::string knobs_text(const nlohmann::json& varied);

}  // namespace moelab::server::cli
