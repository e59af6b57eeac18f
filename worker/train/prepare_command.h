// Owns `moelab-worker prepare`: a corpus in, token files and a tokenizer out.
#pragma once

#include <filesystem>
#include <iosfwd>

#include "core/config.h"

namespace moelab::worker {

struct PrepareCommand {
  core::RunConfig config;  // the model.vocab_size and data parts are used
  std::filesystem::path out, cache_dir;
  int threads = 1;
  bool json = false;
};

// Writes out/{tokenizer.model, train.bin, val.bin} with sidecars train.json and val.json ({vocab, count, dtype, tokenizer}),
// usable as data.tokens, data.val_tokens and data.tokenizer, and prints a summary. Throws as load_training_data does.
void prepare_command(const PrepareCommand& command, std::ostream& out);

}  // namespace moelab::worker
