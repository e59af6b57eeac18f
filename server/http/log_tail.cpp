#include "server/http/log_tail.h"

#include <algorithm>
#include <fstream>

namespace moelab::server::http {

namespace {

constexpr std::uint64_t kLongestTail = 4 << 20;
constexpr std::uint64_t kLongestRead = 1 << 20;

std::uint64_t size_of(const std::filesystem::path& file) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  return missing ? 0 : size;
}

std::string read(const std::filesystem::path& file, std::uint64_t from, std::uint64_t count) {
  std::ifstream in(file, std::ios::binary);
  std::string text(count, '\0');
  in.seekg(static_cast<std::streamoff>(from));
  in.read(text.data(), static_cast<std::streamsize>(count));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

// Cuts the complete lines off `text` and returns them.
std::vector<std::string> take_lines(std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    lines.push_back(visible(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  text.erase(0, begin);
  return lines;
}

}  // namespace

std::string visible(const std::string& line) {
  const std::size_t end = line.find_last_not_of('\r');
  if (end == std::string::npos) return "";
  const std::size_t redraw = line.find_last_of('\r', end);
  return line.substr(redraw == std::string::npos ? 0 : redraw + 1, end - (redraw == std::string::npos ? 0 : redraw + 1) + 1);
}

std::vector<std::string> LogTail::last(std::size_t count) {
  const std::uint64_t size = size_of(file_);
  const std::uint64_t start = size - std::min(size, kLongestTail);
  partial_ = read(file_, start, size - start);
  offset_ = start + partial_.size();
  std::vector<std::string> lines = take_lines(partial_);
  if (start > 0 && !lines.empty()) lines.erase(lines.begin());  // begins in the middle
  if (!partial_.empty()) lines.push_back(visible(partial_));
  partial_.clear();
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

std::vector<std::string> LogTail::follow() {
  const std::uint64_t size = size_of(file_);
  if (size < offset_) {
    offset_ = 0;
    partial_.clear();
  }
  const std::string news = read(file_, offset_, std::min(size - offset_, kLongestRead));
  offset_ += news.size();
  partial_ += news;
  return take_lines(partial_);
}

}  // namespace moelab::server::http
