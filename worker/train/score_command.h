// Owns `moelab-worker score`: a model and ids or text in, its mean negative log-likelihood out.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace moelab::worker {

struct ScoreCommand {
  std::filesystem::path model;   // run, checkpoint or Transformers directory
  std::filesystem::path tokens;  // .npy or .bin of ids: one dimension is one sequence, two are B sequences of L
  std::filesystem::path text;    // or a text file, one document for the model's tokenizer; exactly one of the two
  std::filesystem::path logits;  // .npy to write, float32 of the shape of the ids and V; empty for none
  bool json = false;
};

// Prints the mean in nats and the number of scored tokens. What is scored and how long sequences are cut is told in score.h.
// Throws as read_stored_model and read_token_matrix do, Error(usage) unless exactly one of tokens and text is given,
// Error(not_found) for text without a tokenizer or a missing file, and Error(data) when there is nothing to score.
void score_command(const ScoreCommand& command, std::ostream& out);

}  // namespace moelab::worker
