#include "worker/data/packer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <future>
#include <utility>

#include "core/error.h"
#include "worker/data/durable_file.h"
#include "worker/data/portable_random.h"

namespace moelab::worker {
namespace {

constexpr std::size_t kWriteBytes = 1 << 20;
// Enough text for each thread that starting it costs nothing in comparison, little enough that progress moves.
constexpr std::size_t kBatchBytesPerThread = 256 << 10;

std::vector<std::vector<std::int32_t>> encode_all(const Tokenizer& tokenizer, const std::vector<std::string>& texts, int threads) {
  std::vector<std::vector<std::int32_t>> ids(texts.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < texts.size(); i = next++) ids[i] = tokenizer.encode(texts[i]);
  };
  std::vector<std::future<void>> helpers;
  for (int t = 1; t < threads && static_cast<std::size_t>(t) < texts.size(); ++t) helpers.push_back(std::async(std::launch::async, work));
  work();
  for (auto& helper : helpers) helper.get();
  return ids;
}

}  // namespace

std::vector<bool> held_out_documents(std::int64_t documents, double fraction, std::uint64_t seed) {
  assert(documents >= 2);
  const auto wanted = std::clamp<std::int64_t>(std::llround(fraction * static_cast<double>(documents)), 1, documents - 1);
  std::vector<std::pair<std::uint64_t, std::int64_t>> order(static_cast<std::size_t>(documents));
  for (std::int64_t i = 0; i < documents; ++i) {
    order[static_cast<std::size_t>(i)] = {random64(seed, RandomStream::split, 0, static_cast<std::uint64_t>(i)), i};
  }
  std::nth_element(order.begin(), order.begin() + wanted, order.end());
  std::vector<bool> held_out(static_cast<std::size_t>(documents), false);
  for (std::int64_t i = 0; i < wanted; ++i) held_out[static_cast<std::size_t>(order[static_cast<std::size_t>(i)].second)] = true;
  return held_out;
}

TokenWriter::TokenWriter(const std::filesystem::path& file, TokenType type)
    : file_(file), type_(type), fd_(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  assert(type != TokenType::int64);
  if (fd_ < 0) throw core::Error(core::ErrorKind::storage, file.string() + ": cannot create: " + std::strerror(errno));
}

TokenWriter::~TokenWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void TokenWriter::append(std::int32_t id) {
  buffer_.append(reinterpret_cast<const char*>(&id), static_cast<std::size_t>(bytes_of(type_)));
  ++count_;
  if (buffer_.size() >= kWriteBytes) flush();
}

void TokenWriter::flush() {
  write_all(fd_, buffer_, file_);
  buffer_.clear();
}

void TokenWriter::close() {
  flush();
  if (::close(std::exchange(fd_, -1)) != 0)
    throw core::Error(core::ErrorKind::storage, file_.string() + ": cannot close: " + std::strerror(errno));
}

void pack(const Corpus& corpus, const Tokenizer& tokenizer, const PackOptions& options,
          const std::function<TokenWriter&(std::int64_t)>& sink_of, const ProgressFn& progress, std::int64_t done_before,
          std::int64_t total) {
  const std::size_t batch_bytes = kBatchBytesPerThread * static_cast<std::size_t>(std::max(options.threads, 1));
  std::vector<std::string> texts;
  std::size_t bytes = 0;
  std::int64_t document = 0;
  std::int64_t read = 0;
  const auto write_batch = [&] {
    for (const auto& ids : encode_all(tokenizer, texts, options.threads)) {
      TokenWriter& sink = sink_of(document++);
      if (options.bos_id) sink.append(static_cast<std::int32_t>(*options.bos_id));
      for (const std::int32_t id : ids) sink.append(id);
      if (options.eos_id) sink.append(static_cast<std::int32_t>(*options.eos_id));
    }
    texts.clear();
    bytes = 0;
    progress("tokenize", done_before + read, total);
  };
  progress("tokenize", done_before, total);
  corpus.for_each_document([&](std::string_view text, std::int64_t bytes_read) {
    texts.emplace_back(text);
    bytes += text.size();
    read = bytes_read;
    if (bytes >= batch_bytes) write_batch();
  });
  read = corpus.bytes();
  write_batch();
}

}  // namespace moelab::worker
