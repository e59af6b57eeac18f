// Owns turning documents into token streams: which documents are held out, BOS and EOS, and the files the streams go to.
// Called by data_source when a corpus is not in the cache yet.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/data/corpus.h"
#include "worker/data/progress.h"
#include "worker/data/token_array.h"
#include "worker/data/tokenizer.h"

namespace moelab::worker {

// held_out[i]: document i is for validation. Chosen by a hash of (seed, i): round(fraction * documents) of them, at least
// one, and at least one is left to train on. documents >= 2.
std::vector<bool> held_out_documents(std::int64_t documents, double fraction, std::uint64_t seed);

// Appends ids to a file of little-endian uint16 or int32. Errors are Error(storage).
class TokenWriter {
 public:
  TokenWriter(const std::filesystem::path& file, TokenType type);
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;
  void append(std::int32_t id);
  void close();
  std::int64_t count() const { return count_; }

 private:
  void flush();
  std::filesystem::path file_;
  TokenType type_;
  int fd_;
  std::string buffer_;
  std::int64_t count_ = 0;
};

struct PackOptions {
  std::optional<std::int64_t> bos_id;  // put before each document
  std::optional<std::int64_t> eos_id;  // put after each document
  int threads = 1;
};

// Tokenises every document in order and appends [bos] ids [eos] to sinks[pick(document)]; progress "tokenize" runs from
// done_before to done_before + corpus.bytes() out of total. The result does not depend on the number of threads.
void pack(const Corpus& corpus, const Tokenizer& tokenizer, const PackOptions& options,
          const std::function<TokenWriter&(std::int64_t document)>& sink_of, const ProgressFn& progress, std::int64_t done_before,
          std::int64_t total);

}  // namespace moelab::worker
