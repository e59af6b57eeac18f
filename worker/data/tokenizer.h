// Owns text <-> token ids: a SentencePiece model, loaded from a file or trained on a corpus. The only place that sees
// sentencepiece. Called by the packer, the token cache and generation. encode() may run on several threads at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "worker/data/corpus.h"
#include "worker/data/progress.h"

namespace moelab::worker {

// Token `id` stands for bytes [begin, end) of the text. Of the byte tokens of one character, the last stands for all its
// bytes and those before it for none.
struct TokenSpan {
  std::int32_t id = 0;
  std::size_t begin = 0, end = 0;
};

class Tokenizer {
 public:
  // Throws Error(data) naming the file when it is missing or is not a SentencePiece model.
  static Tokenizer load(const std::filesystem::path& file);
  // model: the bytes of a SentencePiece model; origin names it in messages.
  static Tokenizer from_model(std::string model, const std::string& origin);

  // Trains a byte-fallback BPE model of model.vocab_size tokens and returns its bytes, ready for from_model. The same
  // corpus and settings give the same bytes. Text round-trips exactly: no normalisation, newlines as a byte token.
  // At most kTrainingBytes of text are looked at, chosen evenly over the corpus. bos, eos and pad get the ids of `model`.
  // Throws Error(config) naming model.vocab_size when the corpus supports fewer tokens (with the largest size that
  // works) or needs more (with the smallest).
  static std::string train(const Corpus& corpus, const core::ModelConfig& model, const ProgressFn& progress);
  static constexpr std::int64_t kTrainingBytes = 16 << 20;

  std::vector<std::int32_t> encode(std::string_view text) const;
  // The same tokens with their places in the text.
  std::vector<TokenSpan> encode_spans(std::string_view text) const;
  std::string decode(const std::vector<std::int32_t>& ids) const;
  std::int64_t vocab_size() const;
  std::optional<std::int64_t> bos_id() const;
  std::optional<std::int64_t> eos_id() const;
  const std::string& model() const { return model_; }

  // Throws Error(config) unless length, bos and eos agree with the configuration of the run.
  void check(const core::RunConfig& config) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
  std::string model_;
  std::string origin_;
};

}  // namespace moelab::worker
