// Owns reading the end of a growing log file. Used by logs_api.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace moelab::server::http {

class LogTail {
 public:
  // The file may not exist yet.
  explicit LogTail(std::filesystem::path file) : file_(std::move(file)) {}

  // The last `count` lines, an unfinished last one included, of at most the last 4 MiB; follow() goes on after them.
  std::vector<std::string> last(std::size_t count);
  // Complete lines that came since; at most about 1 MiB a call. A file that shrank is read from its start.
  std::vector<std::string> follow();

 private:
  std::filesystem::path file_;
  std::uint64_t offset_ = 0;  // bytes taken
  std::string partial_;       // a line whose end has not come yet
};

// What a terminal would show of a line: of a progress bar redrawn with carriage returns, the last picture.
std::string visible(const std::string& line);

}  // namespace moelab::server::http
