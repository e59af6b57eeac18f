#include "worker/train/log.h"

#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <string>

#include "core/clock.h"

namespace moelab::worker {
namespace {

[[gnu::format(printf, 2, 0)]] void log_line(const char* level, const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  std::string text(static_cast<std::size_t>(std::vsnprintf(nullptr, 0, format, again)), '\0');
  va_end(again);
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  std::fprintf(stderr, "%s %s %s\n", core::to_rfc3339(std::chrono::system_clock::now()).c_str(), level, text.c_str());
}

}  // namespace

void log_info(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  log_line("info", format, arguments);
  va_end(arguments);
}

void log_warning(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  log_line("warning", format, arguments);
  va_end(arguments);
}

void log_error(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  log_line("error", format, arguments);
  va_end(arguments);
}

}  // namespace moelab::worker
