#include "worker/data/data_source.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "core/sha256.h"
#include "worker/data/content_cache.h"
#include "worker/data/corpus.h"
#include "worker/data/durable_file.h"
#include "worker/data/packer.h"
#include "worker/data/token_file.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;
using nlohmann::json;

// Part of every key: raise it when the same input would give other bytes.
constexpr const char* kTokenizerRecipe = "tokenizer 1";
constexpr const char* kTokensRecipe = "tokens 1";

std::string id_text(const std::optional<std::int64_t>& id) {
  return id ? std::to_string(*id) : "none";
}

Tokenizer obtain_tokenizer(const core::RunConfig& config, const Corpus& corpus, const std::string& corpus_hash, const ContentCache& cache,
                           const DataWatcher& watcher) {
  if (!config.data.tokenizer.empty()) return Tokenizer::load(config.data.tokenizer);
  const core::ModelConfig& model = config.model;
  const std::string key = core::sha256_hex(json{kTokenizerRecipe, corpus_hash, model.vocab_size, id_text(model.bos_token_id),
                                                id_text(model.eos_token_id), id_text(model.pad_token_id)}
                                               .dump());
  const CacheEntry entry = cache.get("tokenizers", key, watcher, [&](const fs::path& directory) {
    write_durably(directory / "tokenizer.model", Tokenizer::train(corpus, model, watcher.progress));
    return json{{"vocab_size", model.vocab_size}};
  });
  return Tokenizer::load(entry.directory / "tokenizer.model");
}

struct Texts {
  const Corpus& train;
  const Corpus* val;  // null: held out from train
};

json tokenize(const core::RunConfig& config, const Texts& texts, const Tokenizer& tokenizer, int threads, const ProgressFn& progress,
              const fs::path& directory) {
  const PackOptions options{config.data.bos ? tokenizer.bos_id() : std::nullopt, config.data.eos ? tokenizer.eos_id() : std::nullopt,
                            threads};
  const TokenType type = token_type_for(tokenizer.vocab_size());
  const std::int64_t documents = texts.train.count_documents();
  const std::int64_t val_documents = texts.val != nullptr ? texts.val->count_documents() : 0;
  if (texts.val == nullptr && documents < 2) {
    throw Error(ErrorKind::data,
                "data.path: the corpus is one document, so none can be held out for validation; set data.val_path, or give more documents");
  }
  TokenWriter train(directory / "train.tokens", type);
  TokenWriter val(directory / "val.tokens", type);
  json info;
  if (texts.val == nullptr) {
    const std::vector<bool> held_out =
        held_out_documents(documents, config.data.val_fraction, static_cast<std::uint64_t>(config.data.seed));
    const auto sink_of = [&](std::int64_t document) -> TokenWriter& { return held_out[static_cast<std::size_t>(document)] ? val : train; };
    pack(texts.train, tokenizer, options, sink_of, progress, 0, texts.train.bytes());
    const auto held = std::count(held_out.begin(), held_out.end(), true);
    info = {{"train_documents", documents - held}, {"val_documents", held}};
  } else {
    const std::int64_t total = texts.train.bytes() + texts.val->bytes();
    pack(
        texts.train, tokenizer, options, [&](std::int64_t) -> TokenWriter& { return train; }, progress, 0, total);
    pack(
        *texts.val, tokenizer, options, [&](std::int64_t) -> TokenWriter& { return val; }, progress, texts.train.bytes(), total);
    info = {{"train_documents", documents}, {"val_documents", val_documents}};
  }
  train.close();
  val.close();
  write_durably(directory / "tokenizer.model", tokenizer.model());
  info["train_tokens"] = train.count();
  info["val_tokens"] = val.count();
  return info;
}

void require_blocks(const Blocks& blocks, std::int64_t tokens, const std::string& what, const std::string& remedy) {
  if (blocks.size() > 0) return;
  throw Error(ErrorKind::data, what + " holds " + std::to_string(tokens) + " tokens, not enough for one block of data.block_size " +
                                   std::to_string(blocks.block_size()) + "; " + remedy);
}

TrainingData from_text(const core::RunConfig& config, const fs::path& cache_dir, int threads, const DataWatcher& watcher) {
  const core::DataConfig& data = config.data;
  const Corpus corpus(data.path, data.text_field, "data.path");
  const std::unique_ptr<const Corpus> val =
      data.val_path.empty() ? nullptr : std::make_unique<const Corpus>(data.val_path, data.text_field, "data.val_path");
  const ContentCache cache(cache_dir);
  const std::string corpus_hash = corpus.content_hash();
  const Tokenizer tokenizer = obtain_tokenizer(config, corpus, corpus_hash, cache, watcher);
  tokenizer.check(config);

  json key{kTokensRecipe, corpus_hash, core::sha256_hex(tokenizer.model()), data.bos, data.eos};
  if (val) {
    key.push_back(val->content_hash());
  } else {
    key.insert(key.end(), {json(data.val_fraction), json(data.seed)});
  }
  const CacheEntry entry = cache.get("tokens", core::sha256_hex(key.dump()), watcher, [&](const fs::path& directory) {
    return tokenize(config, {corpus, val.get()}, tokenizer, threads, watcher.progress, directory);
  });

  TrainingData result;
  result.tokenizer = tokenizer;
  result.summary = {static_cast<std::int64_t>(corpus.files().size() + (val ? val->files().size() : 0)),
                    corpus.bytes() + (val ? val->bytes() : 0),
                    entry.info.at("train_documents"),
                    entry.info.at("val_documents"),
                    entry.info.at("train_tokens"),
                    entry.info.at("val_tokens"),
                    !entry.built,
                    entry.directory};
  const TokenType type = token_type_for(tokenizer.vocab_size());
  const auto blocks = [&](const char* name, std::int64_t count) {
    return Blocks({std::make_shared<const MappedFile>(entry.directory / name), 0, type, count}, data.block_size, BlockRule::within_block);
  };
  result.train = blocks("train.tokens", result.summary.train_tokens);
  result.val = blocks("val.tokens", result.summary.val_tokens);
  require_blocks(result.train, result.summary.train_tokens, "data.path: the training text", "give more text or lower data.block_size");
  require_blocks(result.val, result.summary.val_tokens, val ? "data.val_path: the validation text" : "data.path: the held-out text",
                 val ? "give more text or lower data.block_size" : "raise data.val_fraction, give more text or lower data.block_size");
  return result;
}

TrainingData from_token_files(const core::RunConfig& config) {
  const core::DataConfig& data = config.data;
  const auto read = [&](const std::string& file, const char* key, TokenArray& tokens) {
    tokens = read_token_file(file, config.model.vocab_size, key);
    Blocks blocks(tokens, data.block_size, BlockRule::with_next_token);
    require_blocks(blocks, tokens.size(), std::string(key) + ": " + file,
                   "a block needs one token more than its size; lower data.block_size");
    return blocks;
  };
  TrainingData result;
  if (!data.tokenizer.empty()) {
    result.tokenizer = Tokenizer::load(data.tokenizer);
    result.tokenizer->check(config);
  }
  TokenArray tokens;
  const Blocks all = read(data.tokens, "data.tokens", tokens);
  result.summary.train_tokens = tokens.size();
  if (!data.val_tokens.empty()) {
    TokenArray val_tokens;
    result.val = read(data.val_tokens, "data.val_tokens", val_tokens);
    result.train = all;
    result.summary.val_tokens = val_tokens.size();
    return result;
  }
  if (all.size() < 2) {
    throw Error(ErrorKind::data, "data.tokens: " + data.tokens + " is one block of data.block_size " + std::to_string(data.block_size) +
                                     ", so none can be held out; set data.val_tokens or lower data.block_size");
  }
  const auto held = std::clamp<std::int64_t>(std::llround(data.val_fraction * static_cast<double>(all.size())), 1, all.size() - 1);
  result.train = all.slice(0, all.size() - held);
  result.val = all.slice(all.size() - held, held);
  result.summary.val_tokens = held * data.block_size;
  result.summary.train_tokens -= result.summary.val_tokens;
  return result;
}

}  // namespace

TrainingData load_training_data(const core::RunConfig& config, const fs::path& cache_dir, int threads, const DataWatcher& watcher) {
  const core::DataConfig& data = config.data;
  if (!data.tokens.empty() && !data.path.empty()) {
    throw Error(ErrorKind::config, "data.tokens and data.path are both set; keep the one to train on");
  }
  if (!data.tokens.empty()) return from_token_files(config);
  if (data.path.empty()) throw Error(ErrorKind::config, "data.path: nothing to train on; name text files, or token files with data.tokens");
  return from_text(config, cache_dir, threads, watcher);
}

}  // namespace moelab::worker
