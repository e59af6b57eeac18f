#include "worker/data/tokenizer.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <functional>
#include <regex>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "worker/data/mapped_file.h"
#include "worker/data/portable_random.h"

namespace moelab::worker {
namespace {

using core::Error;
using core::ErrorKind;

// SentencePiece's BPE trainer takes quadratic time in the length of a sentence without spaces.
constexpr std::size_t kLongestLine = 4096;

// Cuts at most kLongestLine bytes off the front of text, never inside a UTF-8 sequence.
std::string_view take_piece(std::string_view& text) {
  std::size_t length = std::min(text.size(), kLongestLine);
  if (length < text.size()) {
    std::size_t start = length;
    while (start > length - 4 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80) --start;
    if ((static_cast<unsigned char>(text[start]) & 0xc0) != 0x80) length = start;
  }
  const std::string_view piece = text.substr(0, length);
  text.remove_prefix(length);
  return piece;
}

// The lines the trainer sees.
std::vector<std::string> sample_lines(const Corpus& corpus, const ProgressFn& progress) {
  const double keep = static_cast<double>(Tokenizer::kTrainingBytes) / static_cast<double>(std::max<std::int64_t>(corpus.bytes(), 1));
  std::vector<std::string> lines;
  std::uint64_t line_number = 0;
  corpus.for_each_document([&](std::string_view text, std::int64_t bytes_read) {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      while (!line.empty()) {
        const std::string_view piece = take_piece(line);
        if (keep >= 1 || to_unit(random64(0, RandomStream::tokenizer_sample, 0, line_number)) < keep) lines.emplace_back(piece);
        ++line_number;
      }
    }
    progress("train_tokenizer", bytes_read, corpus.bytes());
  });
  return lines;
}

class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& lines) : lines_(lines) {}
  bool done() const override { return next_ >= lines_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return lines_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  std::size_t next_ = 0;
};

std::unordered_map<std::string, std::string> trainer_options(const core::ModelConfig& model) {
  std::int64_t unk = 0;
  const auto taken = [&](std::int64_t id) { return id == model.bos_token_id || id == model.eos_token_id || id == model.pad_token_id; };
  while (taken(unk)) ++unk;
  const auto text = [](const std::optional<std::int64_t>& id) { return std::to_string(id.value_or(-1)); };
  return {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(model.vocab_size)},
      {"unk_id", std::to_string(unk)},
      {"bos_id", text(model.bos_token_id)},
      {"eos_id", text(model.eos_token_id)},
      {"pad_id", text(model.pad_token_id)},
      {"byte_fallback", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"allow_whitespace_only_pieces", "true"},
      {"split_digits", "true"},
      {"character_coverage", "0.9995"},
      {"max_sentence_length", std::to_string(kLongestLine * 2)},
      {"num_threads", "1"},
      {"minloglevel", "4"},
  };
}

[[noreturn]] void explain_failure(const sentencepiece::util::Status& status, const core::ModelConfig& model, const std::string& corpus) {
  const std::string message = status.ToString();
  const std::string size = std::to_string(model.vocab_size);
  std::smatch match;
  if (std::regex_search(message, match, std::regex("value <= ([0-9]+)"))) {
    throw Error(ErrorKind::config, "model.vocab_size: " + size + " is larger than the corpus supports; set it to at most " +
                                       match[1].str() + ", or give more text in " + corpus);
  }
  if (std::regex_search(message, match, std::regex("required_chars[^0-9]*[0-9]+ vs ([0-9]+)"))) {
    throw Error(ErrorKind::config, "model.vocab_size: " + size +
                                       " is too small for the 256 bytes and the characters of the corpus; set it to at least " +
                                       match[1].str());
  }
  throw Error(ErrorKind::config, "model.vocab_size: no tokenizer of " + size + " tokens could be trained on " + corpus + ": " + message);
}

void check_special_ids(const core::ModelConfig& model) {
  const std::pair<const char*, std::optional<std::int64_t>> ids[] = {
      {"model.bos_token_id", model.bos_token_id}, {"model.eos_token_id", model.eos_token_id}, {"model.pad_token_id", model.pad_token_id}};
  for (const auto& [key, id] : ids) {
    if (id && *id >= model.vocab_size) {
      throw Error(ErrorKind::config, std::string(key) + ": " + std::to_string(*id) + " does not fit in model.vocab_size " +
                                         std::to_string(model.vocab_size) + "; set it below");
    }
  }
}

}  // namespace

struct Tokenizer::Impl {
  sentencepiece::SentencePieceProcessor processor;
};

Tokenizer Tokenizer::load(const std::filesystem::path& file) {
  const MappedFile map(file);
  return from_model(std::string(map.text()), file.string());
}

Tokenizer Tokenizer::from_model(std::string model, const std::string& origin) {
  auto impl = std::make_shared<Impl>();
  if (model.empty() || !impl->processor.LoadFromSerializedProto(model).ok() || impl->processor.GetPieceSize() <= 0) {
    throw Error(ErrorKind::data, origin + ": not a SentencePiece model");
  }
  Tokenizer tokenizer;
  tokenizer.impl_ = std::move(impl);
  tokenizer.model_ = std::move(model);
  tokenizer.origin_ = origin;
  return tokenizer;
}

std::string Tokenizer::train(const Corpus& corpus, const core::ModelConfig& model, const ProgressFn& progress) {
  check_special_ids(model);
  const std::vector<std::string> lines = sample_lines(corpus, progress);
  if (lines.empty()) throw Error(ErrorKind::data, corpus.key() + ": the corpus is empty: no text to train a tokenizer on");
  Lines iterator(lines);
  std::string trained;
  const auto status = sentencepiece::SentencePieceTrainer::Train(trainer_options(model), &iterator, &trained);
  if (!status.ok()) explain_failure(status, model, corpus.key());
  return trained;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int> ids;
  const auto status = impl_->processor.Encode({text.data(), text.size()}, &ids);
  if (!status.ok()) throw Error(ErrorKind::data, origin_ + ": cannot tokenise: " + status.ToString());
  return ids;
}

std::vector<TokenSpan> Tokenizer::encode_spans(std::string_view text) const {
  const auto pieces = impl_->processor.EncodeAsImmutableProto({text.data(), text.size()});
  std::vector<TokenSpan> spans;
  for (const auto& piece : pieces.pieces()) spans.push_back({static_cast<std::int32_t>(piece.id()), piece.begin(), piece.end()});
  return spans;
}

std::string Tokenizer::decode(const std::vector<std::int32_t>& ids) const {
  std::string text;
  const auto status = impl_->processor.Decode(ids, &text);
  if (!status.ok()) throw Error(ErrorKind::data, origin_ + ": cannot decode: " + status.ToString());
  return text;
}

std::int64_t Tokenizer::vocab_size() const {
  return impl_->processor.GetPieceSize();
}

std::optional<std::int64_t> Tokenizer::bos_id() const {
  const int id = impl_->processor.bos_id();
  return id < 0 ? std::nullopt : std::optional<std::int64_t>(id);
}

std::optional<std::int64_t> Tokenizer::eos_id() const {
  const int id = impl_->processor.eos_id();
  return id < 0 ? std::nullopt : std::optional<std::int64_t>(id);
}

void Tokenizer::check(const core::RunConfig& config) const {
  if (vocab_size() != config.model.vocab_size) {
    throw Error(ErrorKind::config, "model.vocab_size: " + std::to_string(config.model.vocab_size) + ", but the tokenizer " + origin_ +
                                       " has " + std::to_string(vocab_size()) + " tokens; set model.vocab_size to " +
                                       std::to_string(vocab_size()));
  }
  const auto agree = [&](bool used, const char* flag, const char* key, const std::optional<std::int64_t>& configured,
                         const std::optional<std::int64_t>& own) {
    if (!used || (configured && configured == own)) return;
    const auto text = [](const std::optional<std::int64_t>& id) { return id ? std::to_string(*id) : std::string("none"); };
    throw Error(ErrorKind::config, std::string(key) + ": " + text(configured) + ", but the tokenizer " + origin_ + " has " + text(own) +
                                       (own ? "; set it to " + text(own) : std::string()) + (own ? ", or " : "; ") + "set " + flag +
                                       ": false");
  };
  agree(config.data.bos, "data.bos", "model.bos_token_id", config.model.bos_token_id, bos_id());
  agree(config.data.eos, "data.eos", "model.eos_token_id", config.model.eos_token_id, eos_id());
}

}  // namespace moelab::worker
