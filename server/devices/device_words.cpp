#include "server/devices/device_words.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace moelab::server {
namespace {

constexpr std::size_t kMaxCommand = 60;

std::string formatted(const char* format, const std::tm& time) {
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &time)};
}

std::tm local_time(core::TimePoint time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm broken_down{};
  ::localtime_r(&seconds, &broken_down);
  return broken_down;
}

}  // namespace

std::string gigabytes(double mb) {
  const double tenths = std::round(mb / 1024 * 10);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), std::fmod(tenths, 10) == 0 ? "%.0f" : "%.1f", tenths / 10);
  return text.data();
}

std::string process_words(const DeviceProcess& process) {
  const std::string pid = "pid " + std::to_string(process.pid);
  if (process.hidden) return pid + ", which cannot be seen from here (it has ended, or belongs to another container)";
  const bool cut = process.command.size() > kMaxCommand;
  return pid + " of user " + process.user + " (" + process.command.substr(0, kMaxCommand) + (cut ? "..." : "") + ")";
}

std::string process_words(const std::vector<DeviceProcess>& processes) {
  const std::string first = process_words(processes.front());
  return processes.size() == 1 ? first : first + " and " + std::to_string(processes.size() - 1) + " more";
}

std::string clock_words(core::TimePoint time, core::TimePoint now) {
  const std::tm then = local_time(time), today = local_time(now);
  const bool same_day = then.tm_year == today.tm_year && then.tm_yday == today.tm_yday;
  return formatted(same_day ? "%H:%M" : "%Y-%m-%d %H:%M", then);
}

}  // namespace moelab::server
