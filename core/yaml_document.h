// Owns YAML text to Node tree. The only file that sees yaml-cpp. Called for experiments.yaml, `extends` files and overrides.
#pragma once

#include <string>
#include <vector>

#include "core/error.h"
#include "core/node.h"

namespace moelab::core {

// Limits on what a file may hold, so that a hostile or mistaken one ends in a message: aliases multiply nodes, nesting eats stack.
inline constexpr std::size_t kMaxYamlBytes = 4 << 20;
inline constexpr int kMaxYamlDepth = 32;
inline constexpr std::size_t kMaxYamlNodes = 200'000;  // after aliases are expanded

// Text that is no YAML, holds more than one document or breaks a limit throws Error(config) naming source_name and line; keys
// given twice, keys that are no text and unknown tags go to `problems`. Merge keys (<<: *anchor) are applied.
Node parse_yaml(const std::string& text, const std::string& source_name, std::vector<Problem>& problems);

}  // namespace moelab::core
