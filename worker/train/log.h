// Owns the human log of a worker: timed lines on stderr, which the launcher keeps as worker.log. Not spdlog, which the
// server uses: LibTorch's headers bring another version of fmt and the two do not compile together.
#pragma once

namespace moelab::worker {

// printf formats, no newline.
[[gnu::format(printf, 1, 2)]] void log_info(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_warning(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_error(const char* format, ...);

}  // namespace moelab::worker
