// Owns `moelab-worker export`: a trained model in, a Transformers directory out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>

namespace moelab::worker {

struct ExportCommand {
  std::filesystem::path from;  // run directory (its newest checkpoint) or checkpoint directory
  std::filesystem::path out;   // absent or empty
  std::int64_t max_shard_bytes = 5'000'000'000;
};

// Writes out/{config.json, model.safetensors}, or shards with their index, and tokenizer.model when the model has one, and
// says which architecture it became. Throws as read_stored_model and export_transformers do, and Error(usage) when `out`
// holds something; then nothing has been written.
void export_command(const ExportCommand& command, std::ostream& out);

}  // namespace moelab::worker
