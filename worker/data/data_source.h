// Owns the way from a run's `data` section to blocks ready for the batcher: corpus or token files, tokenizer, cache,
// split. Called once by the worker before training, and by `moelab-worker prepare`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

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
  std::filesystem::path directory;                      // of the cache entry; empty for token files and domains
};

struct TrainingData {
  Blocks train, val;                   // at least one block each
  std::optional<Tokenizer> tokenizer;  // none with token files unless data.tokenizer names one
  DataSummary summary;
};

// With data.domains, train holds equally many blocks of every domain and val all of them (worker/data/domain_mix.h); one
// tokenizer serves all. A notice says when much of a domain is left out for another one that is small.
// Throws Error(data) or Error(config), naming the key or file and the remedy.
TrainingData load_training_data(const core::RunConfig& config, const std::filesystem::path& cache_dir, int threads,
                                const DataWatcher& watcher);

// The documents of `domain` in data.domains that load_training_data holds out, in order: the first `most` of them, at most
// `most_bytes` of each, cut between characters. Reads the domain's files twice.
std::vector<std::string> held_out_texts(const core::RunConfig& config, const std::string& domain, std::int64_t most,
                                        std::int64_t most_bytes);

}  // namespace moelab::worker
