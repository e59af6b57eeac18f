// Owns `moelab-worker prepare`: a corpus in, token files and a tokenizer out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>

#include "core/config.h"

namespace moelab::worker {

struct PrepareCommand {
  core::RunConfig config;                  // the data part is used
  std::optional<std::int64_t> vocab_size;  // none = that of data.tokenizer
  std::filesystem::path out, cache_dir;
  int threads = 0;  // 0 = all cores
  bool json = false;
};

// Writes out/{tokenizer.model, train.bin, val.bin} with sidecars train.json and val.json ({vocab, count, dtype, tokenizer}),
// usable as data.tokens, data.val_tokens and data.tokenizer, and prints a summary. Throws as load_training_data does, and
// Error(usage) when neither a vocabulary size nor a tokenizer is given.
void prepare_command(const PrepareCommand& command, std::ostream& out);

}  // namespace moelab::worker
