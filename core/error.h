// Owns the one exception type of Moelab and the exit codes of both executables.
// Thrown anywhere; caught only in the HTTP wrapper, the scheduler tick, the ingest loop and main().
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace moelab::core {

enum class ErrorKind {
  usage,        // wrong command line
  config,       // a key of experiments.yaml or of a run's configuration is wrong
  data,         // a corpus, token file or tokenizer is missing, empty or does not fit
  not_found,    // no such run, experiment, metric, file
  conflict,     // the thing exists but is in the wrong state, or a resource is taken (port in use)
  unreachable,  // the daemon does not answer
  unauthorized, // token missing or wrong
  storage,      // unwritable home, full disk, corrupt database or checkpoint
  internal,     // a bug of ours
};

// One problem found while checking input. `path` is the dotted key or the file; `line` is 1-based, 0 when unknown.
struct Problem {
  std::string path;
  int line = 0;
  std::string message;
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message);
  // Several problems found in one pass: what() lists them all, one per line, "FILE:LINE: KEY: MESSAGE".
  Error(ErrorKind kind, const std::string& file, std::vector<Problem> problems);

  ErrorKind kind() const { return kind_; }
  const std::vector<Problem>& problems() const { return problems_; }

 private:
  ErrorKind kind_;
  std::vector<Problem> problems_;
};

// Exit codes, documented in README.md.
inline constexpr int kExitDone = 0;
inline constexpr int kExitRunFailed = 1;    // a run failed, or an internal error
inline constexpr int kExitUsage = 2;        // usage, config or data
inline constexpr int kExitUnreachable = 3;  // daemon unreachable or token refused
inline constexpr int kExitNotFound = 4;     // not found or conflict
inline constexpr int kExitStorage = 5;      // storage
inline constexpr int kExitPreempted = 75;   // worker only: checkpointed on SIGTERM, start me again
inline constexpr int kExitInterrupted = 130;

int exit_code(ErrorKind kind);
// Lower-case name used in REST errors and journals, e.g. "not_found".
std::string to_string(ErrorKind kind);

}  // namespace moelab::core
