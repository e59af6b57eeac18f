// Owns what a person may write to explain a step to others: it stands inside sentences, tables and log lines. Checked by REST and by the
// command line.
#pragma once

#include <string>
#include <string_view>

namespace moelab::server {

inline constexpr std::size_t kMaxFreeText = 200;  // characters

// "" when `text` is one line of at most kMaxFreeText characters; else what it must be.
std::string free_text_fault(std::string_view text);

}  // namespace moelab::server
