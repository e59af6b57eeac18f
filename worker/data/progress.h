// Owns how long-running data preparation speaks. Called by everything in worker/data that may take seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace moelab::worker {

// phase: "train_tokenizer" or "tokenize" (done and total in bytes of corpus), or "wait" (another worker is building the
// same cache entry; done and total 0). May throw: preparation then stops and leaves nothing half-written.
using ProgressFn = std::function<void(std::string_view phase, std::int64_t done, std::int64_t total)>;

struct DataWatcher {
  ProgressFn progress;
  std::function<void(const std::string& message)> notice;  // things a person should know: waiting, rebuilding
};

}  // namespace moelab::worker
