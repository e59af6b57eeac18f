#include "server/free_text.h"

#include <algorithm>

namespace moelab::server {

namespace {

// In UTF-8 those of C0, DEL, and those of C1, which are U+0080 to U+009F.
bool has_control_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return true;
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

}  // namespace

std::string free_text_fault(std::string_view text) {
  const auto starts_character = [](unsigned char byte) { return (byte & 0xc0) != 0x80; };
  const auto characters = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
  if (characters > kMaxFreeText) {
    return "must have at most " + std::to_string(kMaxFreeText) + " characters, not " + std::to_string(characters);
  }
  return has_control_character(text) ? "must be one line without control characters" : "";
}

}  // namespace moelab::server
