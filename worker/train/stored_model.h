// Owns reading a trained model from wherever it lies: a checkpoint, a run or a Transformers directory. Called by the export
// and score commands.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/config.h"
#include "worker/interop/safetensors.h"

namespace moelab::worker {

struct StoredModel {
  std::filesystem::path directory;  // the checkpoint that was read, or the Transformers directory
  core::RunConfig config;
  TensorMap weights;                // under the names of worker/model/language_model.h
  std::int64_t step = 0;            // 0 for a Transformers directory
  std::filesystem::path tokenizer;  // a SentencePiece model; empty when there is none
};

// `directory`: a run directory (its newest checkpoint), a checkpoint directory or a Transformers directory. Throws
// Error(not_found) naming `option` when it is none of them, and as read_checkpoint and import_transformers do.
StoredModel read_stored_model(const std::filesystem::path& directory, const std::string& option);

}  // namespace moelab::worker
