#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "server/http/log_tail.h"

using moelab::server::http::LogTail;
using moelab::server::http::visible;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

struct LogFile {
  LogFile() {
    std::string pattern = (fs::temp_directory_path() / "moelab-log-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    path = folder / "worker.log";
  }
  ~LogFile() { fs::remove_all(folder); }
  void append(const std::string& text) const { std::ofstream(path, std::ios::app) << text; }
  fs::path folder, path;
};

}  // namespace

TEST_CASE("the last lines of a log, an unfinished one included") {
  const LogFile log;
  CHECK(LogTail(log.path).last(5).empty());
  log.append("one\ntwo\nthree");
  CHECK(LogTail(log.path).last(2) == Lines{"two", "three"});
  CHECK(LogTail(log.path).last(100) == Lines{"one", "two", "three"});
  CHECK(LogTail(log.path).last(0).empty());
}

TEST_CASE("following gives each line once, when it is complete") {
  const LogFile log;
  log.append("one\ntwo\n");
  LogTail tail(log.path);
  CHECK(tail.last(1) == Lines{"two"});
  CHECK(tail.follow().empty());
  log.append("thr");
  CHECK(tail.follow().empty());
  log.append("ee\nfour\n");
  CHECK(tail.follow() == Lines{"three", "four"});
  CHECK(tail.follow().empty());
}

TEST_CASE("a log that was written anew is read from its start") {
  const LogFile log;
  log.append("a long first line\n");
  LogTail tail(log.path);
  tail.last(10);
  fs::resize_file(log.path, 0);
  log.append("new\n");
  CHECK(tail.follow() == Lines{"new"});
}

TEST_CASE("only the end of a huge log is read, from the start of a line") {
  const LogFile log;
  const std::string line(1023, 'x');
  std::string text;
  for (int i = 0; i < 6000; ++i) text += line + "\n";
  log.append(text);
  const Lines lines = LogTail(log.path).last(100'000);
  CHECK(lines.size() > 4000);
  CHECK(lines.size() < 6000);
  CHECK(lines.front() == line);
}

TEST_CASE("of a redrawn progress bar the last picture stays") {
  CHECK(visible("10%\r50%\r100%") == "100%");
  CHECK(visible("10%\r50%\r") == "50%");
  CHECK(visible("plain\r") == "plain");
  CHECK(visible("\r\r") == "");
  CHECK(visible("") == "");
}
