// Owns `moelab-worker import`: a Transformers directory in, a checkpoint directory out that train.init_from, generation,
// scoring and export accept.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace moelab::worker {

struct ImportCommand {
  std::filesystem::path from;  // Transformers directory
  std::filesystem::path out;   // absent or empty
};

// Writes a checkpoint of step 0 without optimiser state. A tokenizer.model that is a SentencePiece model for this vocabulary
// comes along, another is left out with a notice. Throws as import_transformers does, and Error(usage) when `out` holds
// something; then nothing has been written.
void import_command(const ImportCommand& command, std::ostream& out);

}  // namespace moelab::worker
