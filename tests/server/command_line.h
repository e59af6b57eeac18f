// Owns running the real `moelab` executable as a person does, in a directory with the small matrix of http_fixture.h. Used by
// cli_*_test.cpp.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/db/temp_dir.h"
#include "tests/server/http_fixture.h"

namespace moelab::test {

struct Said {
  int code = -1;
  std::string out, err;
};

inline std::string quoted(const std::string& text) {
  std::string safe = "'";
  for (const char character : text) safe += character == '\'' ? std::string("'\\''") : std::string(1, character);
  return safe + "'";
}

// A working directory with small.yaml and its corpus, and a home of its own.
class CommandLine {
 public:
  CommandLine() {
    write_text(dir_.path() / "small.yaml", kMatrix);
    write_text(dir_.path() / "corpus.txt", "the cat sat on the mat\n");
  }
  void use(const std::string& url) { url_ = url; }
  std::filesystem::path file(const std::string& name) const { return dir_.path() / name; }

  Said run(const std::vector<std::string>& arguments, const std::string& token = "") const {
    const auto err_file = dir_.path() / "stderr.txt";
    std::string command = "cd " + quoted(dir_.path().string()) +
                          " && env -u MOELAB_TOKEN -u MOELAB_URL MOELAB_HOME=" + quoted((dir_.path() / "home").string()) +
                          (url_.empty() ? "" : " MOELAB_URL=" + quoted(url_)) +
                          (token.empty() ? "" : " MOELAB_TOKEN=" + quoted(token)) + " " + quoted(std::string(MOELAB_BIN_DIR) + "/moelab");
    for (const std::string& argument : arguments) command += " " + quoted(argument);
    command += " 2>" + quoted(err_file.string()) + " </dev/null";
    FILE* const pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    Said said;
    char buffer[4096];
    for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) said.out.append(buffer, got);
    const int status = ::pclose(pipe);
    said.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    said.err = read_text(err_file);
    return said;
  }

 private:
  TempDir dir_;
  std::string url_;
};

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace moelab::test
