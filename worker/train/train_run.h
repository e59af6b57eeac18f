// Owns one attempt at a run, from run.json to the `finished` event: what `moelab-worker train` does.
#pragma once

#include <filesystem>
#include <string>

#include "core/error.h"

namespace moelab::worker {

struct TrainRunOptions {
  std::filesystem::path run_dir;    // holds run.json; events.jsonl and checkpoints/ are written there
  std::filesystem::path cache_dir;  // tokenizers and token streams shared by all runs
  int attempt = 1;
  std::string device = "cpu";  // cpu | cuda
  int threads = 0;             // 0 = as many as LibTorch finds
};

// Returns the exit code (core/error.h, 75 = checkpointed on a signal). Every end but a crash of the process is journalled
// and explained on stderr in one line. Throws only when there is no journal to write to.
int train_run(const TrainRunOptions& options);

// Exit code of the worker for an error that ends it (documented in README.md).
int worker_exit_code(core::ErrorKind kind);

// Threads, determinism. Called before the first tensor is computed with, by every subcommand.
void configure_libtorch(int threads);

}  // namespace moelab::worker
