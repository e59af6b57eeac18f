// Owns how the daemon's log lines look: for people, or as one JSON object a line. A line may carry fields (run, attempt, state,
// device), which stand behind the message as key=value, or beside it as JSON keys. The format is set once at start
// (cli/daemon_options.h); lines come from any thread.
#pragma once

#include <spdlog/formatter.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace moelab::server {

enum class LogFormat { text, json };

// Keys in the order they are written; "time", "level" and "message" are taken.
using LogFields = nlohmann::ordered_json;

// For a sink of spdlog. Text: "2026-11-25 10:00:00.000 info message run=12 state=running", the level coloured on a terminal.
// JSON: {"time": RFC 3339 in UTC with milliseconds, "level": "info" | "warning" | ..., "message": ..., then the fields}; bytes
// that are no UTF-8 become U+FFFD, so a line is always one JSON object.
std::unique_ptr<spdlog::formatter> make_log_formatter(LogFormat format);

// One line with fields. Plain lines go through spdlog::info and its like.
void log_with(spdlog::level::level_enum level, const std::string& message, const LogFields& fields);

}  // namespace moelab::server
