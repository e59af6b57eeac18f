// Owns the run key: what makes two runs the same experiment. SHA-256 of every knob that decides the result, with the content
// of source files in place of their names; names, tags, priority and resources do not enter. Called by plan.cpp.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "core/content_hash.h"
#include "core/error.h"

namespace moelab::core {

// Bump when the meaning of a knob or a default's effect changes without its value changing.
inline constexpr int kRunKeyFormat = 1;

struct RunKey {
  std::string hex;               // 64 hex digits
  std::vector<Problem> missing;  // sources that are not there (path = the field); the key then holds their names
};

// `config` is normalised, source names absolute.
RunKey run_key(const RunConfig& config, ContentHasher& hasher);

}  // namespace moelab::core
