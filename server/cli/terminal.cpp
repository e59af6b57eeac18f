#include "server/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace moelab::server::cli {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool utf8_locale() {
  // The first that is set decides, as for setlocale.
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value = environment(name);
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return value.find("UTF-8") != std::string::npos || value.find("UTF8") != std::string::npos;
  }
  return false;
}

Terminal look_at(int fd) {
  Terminal terminal;
  terminal.unicode = utf8_locale();
  terminal.interactive = ::isatty(fd) == 1 && environment("TERM") != "dumb";
  terminal.colours = terminal.interactive && environment("NO_COLOR").empty();
  winsize size{};
  if (terminal.interactive && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
    terminal.rows = size.ws_row;
  } else if (terminal.interactive) {
    terminal.columns = 80;
    terminal.rows = 24;
  }
  return terminal;
}

const char* code_of(Tone tone) {
  switch (tone) {
    case Tone::plain:
      return "";
    case Tone::strong:
      return "\033[1m";
    case Tone::faint:
      return "\033[2m";
    case Tone::good:
      return "\033[32m";
    case Tone::bad:
      return "\033[31m";
    case Tone::warn:
      return "\033[33m";
    case Tone::active:
      return "\033[36m";
  }
  return "";
}

bool starts_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

}  // namespace

Terminal Terminal::of_stdout() {
  return look_at(STDOUT_FILENO);
}
Terminal Terminal::of_stderr() {
  return look_at(STDERR_FILENO);
}

std::string Terminal::paint(Tone tone, std::string_view text) const {
  if (!colours || tone == Tone::plain || text.empty()) return std::string(text);
  return std::string(code_of(tone)).append(text).append("\033[0m");
}

std::string without_colours(std::string_view text) {
  std::string bare;
  bool in_code = false;
  for (const char byte : text) {
    in_code = in_code || byte == '\033';
    if (!in_code) bare += byte;
    if (byte == 'm') in_code = false;
  }
  return bare;
}

int display_width(std::string_view text) {
  const std::string bare = without_colours(text);
  return static_cast<int>(std::count_if(bare.begin(), bare.end(), starts_character));
}

std::string fit(const std::string& text, int width) {
  if (display_width(text) <= width) return text;
  std::string cut;
  int taken = 0;
  for (const char byte : text) {
    if (starts_character(byte) && ++taken >= width) break;
    cut += byte;
  }
  return width > 0 ? cut + "~" : "";
}

Tone tone_of(std::string_view state) {
  if (state == "completed") return Tone::good;
  if (state == "failed" || state == "lost" || state == "out_of_memory" || state == "timed_out") return Tone::bad;
  if (state == "cancelled" || state == "stopping" || state == "pruned" || state == "skipped" || state == "paused") return Tone::warn;
  if (state == "running" || state == "starting") return Tone::active;
  return Tone::faint;
}

}  // namespace moelab::server::cli
