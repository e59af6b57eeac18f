// Owns the way from a run's `data` section to blocks ready for the batcher: corpus or token files, tokenizer, cache,
// split. Called once by the worker before training, and by `moelab-worker prepare`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/config.h"
#include "worker/data/blocks.h"
#include "worker/data/progress.h"
#include "worker/data/tokenizer.h"

namespace moelab::worker {

struct DataSummary {
  std::int64_t files = 0, bytes = 0;                    // of text; 0 for token files
  std::int64_t train_documents = 0, val_documents = 0;  // 0 for token files
  std::int64_t train_tokens = 0, val_tokens = 0;        // before cutting into blocks
  bool cached = false;                                  // nothing had to be tokenised
  std::filesystem::path directory;                      // of the cache entry; empty for token files
};

struct TrainingData {
  Blocks train, val;                   // at least one block each
  std::optional<Tokenizer> tokenizer;  // none with token files unless data.tokenizer names one
  DataSummary summary;
};

// Throws Error(data) or Error(config), naming the key or file and the remedy.
TrainingData load_training_data(const core::RunConfig& config, const std::filesystem::path& cache_dir, int threads,
                                const DataWatcher& watcher);

}  // namespace moelab::worker
