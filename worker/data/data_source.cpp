#include "worker/data/data_source.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>

#include "core/error.h"
#include "core/sha256.h"
#include "worker/data/content_cache.h"
#include "worker/data/corpus.h"
#include "worker/data/domain_mix.h"
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

Corpus domain_corpus(const core::RunConfig& config, const std::string& domain) {
  return {config.data.domains.at(domain), config.data.text_field, "data.domains." + domain};
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
    throw Error(ErrorKind::data, texts.train.key() + ": the corpus is one document, so none can be held out for validation; " +
                                     (config.data.domains.empty() ? "set data.val_path, or " : "") + "give more documents");
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

struct TokenisedText {
  Blocks train, val;
  DataSummary summary;
};

// The text's tokens, found in the cache or put there. text_hash: of texts.train.
TokenisedText obtain_tokens(const core::RunConfig& config, const Texts& texts, const std::string& text_hash, const Tokenizer& tokenizer,
                            const ContentCache& cache, int threads, const DataWatcher& watcher) {
  const core::DataConfig& data = config.data;
  json key{kTokensRecipe, text_hash, core::sha256_hex(tokenizer.model()), data.bos, data.eos};
  if (texts.val != nullptr) {
    key.push_back(texts.val->content_hash());
  } else {
    key.insert(key.end(), {json(data.val_fraction), json(data.seed)});
  }
  const CacheEntry entry = cache.get("tokens", core::sha256_hex(key.dump()), watcher, [&](const fs::path& directory) {
    return tokenize(config, texts, tokenizer, threads, watcher.progress, directory);
  });

  TokenisedText result;
  result.summary = {static_cast<std::int64_t>(texts.train.files().size() + (texts.val != nullptr ? texts.val->files().size() : 0)),
                    texts.train.bytes() + (texts.val != nullptr ? texts.val->bytes() : 0),
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
  const std::string more = "give more text or lower data.block_size";
  require_blocks(result.train, result.summary.train_tokens, texts.train.key() + ": the training text", more);
  if (texts.val != nullptr) {
    require_blocks(result.val, result.summary.val_tokens, texts.val->key() + ": the validation text", more);
  } else {
    require_blocks(result.val, result.summary.val_tokens, texts.train.key() + ": the held-out text", "raise data.val_fraction, " + more);
  }
  return result;
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
  const TokenisedText tokens = obtain_tokens(config, {corpus, val.get()}, corpus_hash, tokenizer, cache, threads, watcher);
  return {tokens.train, tokens.val, tokenizer, tokens.summary};
}

// A file in two domains would be trained on under one name and evaluated under the other.
void require_disjoint(const std::vector<Corpus>& corpora) {
  std::map<fs::path, std::string> owner;
  for (const Corpus& corpus : corpora) {
    for (const fs::path& file : corpus.files()) {
      const auto [known, is_new] = owner.emplace(fs::weakly_canonical(file), corpus.key());
      if (is_new) continue;
      throw Error(ErrorKind::data, corpus.key() + ": " + file.string() + " belongs to " + known->second + " too; keep it in one");
    }
  }
}

// Much of a domain is left out when another one is far smaller; whoever set up the data may not know.
void note_imbalance(const std::vector<Corpus>& corpora, const std::vector<TokenisedText>& tokens, const DataWatcher& watcher) {
  constexpr double kMostImbalance = 1.5;
  const auto fewer = [](const TokenisedText& a, const TokenisedText& b) { return a.summary.train_tokens < b.summary.train_tokens; };
  const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end(), fewer);
  const auto ratio = static_cast<double>(most->summary.train_tokens) / static_cast<double>(least->summary.train_tokens);
  if (ratio <= kMostImbalance) return;
  char times[32];
  std::snprintf(times, sizeof times, "%.1f", ratio);
  const auto named = [&](const auto& it) {
    return corpora[static_cast<std::size_t>(it - tokens.begin())].key() + " (" + std::to_string(it->summary.train_tokens) + " tokens)";
  };
  watcher.notice(named(most) + " has " + times + " times the training text of " + named(least) + "; training uses " +
                 std::to_string(least->train.size()) + " blocks of every domain and leaves the others out");
}

TrainingData from_domains(const core::RunConfig& config, const fs::path& cache_dir, int threads, const DataWatcher& watcher) {
  const core::DataConfig& data = config.data;
  std::vector<std::string> names, all_paths, hashes;
  std::vector<Corpus> corpora;
  for (const auto& [name, paths] : data.domains) {
    names.push_back(name);
    all_paths.insert(all_paths.end(), paths.begin(), paths.end());
    corpora.push_back(domain_corpus(config, name));
    hashes.push_back(corpora.back().content_hash());
  }
  require_disjoint(corpora);
  const ContentCache cache(cache_dir);
  const Corpus all(all_paths, data.text_field, "data.domains");
  const Tokenizer tokenizer = obtain_tokenizer(config, all, core::sha256_hex(json(hashes).dump()), cache, watcher);
  tokenizer.check(config);

  TrainingData result;
  DataSummary& summary = result.summary;
  summary.cached = true;
  std::vector<TokenisedText> tokens;
  std::vector<Blocks> train, val;
  std::int64_t bytes_before = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    DataWatcher domain_watcher = watcher;
    domain_watcher.progress = [&](std::string_view phase, std::int64_t done, std::int64_t total) {
      phase == "tokenize" ? watcher.progress(phase, bytes_before + done, all.bytes()) : watcher.progress(phase, done, total);
    };
    tokens.push_back(obtain_tokens(config, {corpora[i], nullptr}, hashes[i], tokenizer, cache, threads, domain_watcher));
    const DataSummary& one = tokens.back().summary;
    bytes_before += one.bytes;
    summary.files += one.files;
    summary.bytes += one.bytes;
    summary.train_documents += one.train_documents;
    summary.val_documents += one.val_documents;
    summary.train_tokens += one.train_tokens;
    summary.val_tokens += one.val_tokens;
    summary.cached = summary.cached && one.cached;
    train.push_back(tokens.back().train);
    val.push_back(tokens.back().val);
  }
  note_imbalance(corpora, tokens, watcher);
  result.train = balanced_mix(names, train, static_cast<std::uint64_t>(data.seed));
  result.val = in_sequence(names, val);
  result.tokenizer = tokenizer;
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
  if (!data.domains.empty()) return from_domains(config, cache_dir, threads, watcher);
  if (data.path.empty()) throw Error(ErrorKind::config, "data.path: nothing to train on; name text files, or token files with data.tokens");
  return from_text(config, cache_dir, threads, watcher);
}

std::vector<std::string> held_out_texts(const core::RunConfig& config, const std::string& domain, std::int64_t most,
                                        std::int64_t most_bytes) {
  const Corpus corpus = domain_corpus(config, domain);
  const std::vector<bool> held_out =
      held_out_documents(corpus.count_documents(), config.data.val_fraction, static_cast<std::uint64_t>(config.data.seed));
  std::vector<std::string> texts;
  std::size_t document = 0;
  corpus.for_each_document([&](std::string_view text, std::int64_t) {
    if (!held_out[document++] || static_cast<std::int64_t>(texts.size()) >= most) return;
    std::size_t bytes = std::min(text.size(), static_cast<std::size_t>(most_bytes));
    while (bytes < text.size() && bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
    texts.emplace_back(text.substr(0, bytes));
  });
  return texts;
}

}  // namespace moelab::worker
