// Owns running a program to its end without a shell: arguments go to it as they are, its output is collected, and it is killed when it
// takes too long. Used by slurm_client; safe to call from any thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace moelab::server {

struct CommandResult {
  int exit_code = -1;  // -1: it was killed
  bool timed_out = false;
  std::string output, errors;  // standard output and error; each is cut at 16 MiB
};

// `arguments[0]` is looked for in PATH. `environment` is all it sees ("NAME=value"); its standard input is empty. Throws
// core::Error(not_found) when there is no such program, and Error(storage) when it cannot be started.
CommandResult run_command(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
                          std::chrono::milliseconds timeout);

// The executable that run_command would start.
std::optional<std::filesystem::path> find_program(const std::string& name);

}  // namespace moelab::server
