// From documents to blocks: hand-worked packing, the split by document, block rules and the order of an epoch.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "tests/worker/data/temporary_directory.h"
#include "worker/data/batcher.h"
#include "worker/data/blocks.h"
#include "worker/data/packer.h"

namespace moelab::worker {
namespace {

using test::TemporaryDirectory;

TokenArray tokens_of(const TemporaryDirectory& dir, const std::vector<std::int32_t>& ids) {
  TokenWriter writer(dir.path() / "tokens", TokenType::uint16);
  for (const std::int32_t id : ids) writer.append(id);
  writer.close();
  return {std::make_shared<const MappedFile>(dir.path() / "tokens"), 0, TokenType::uint16, writer.count()};
}

TokenArray counting(const TemporaryDirectory& dir, std::int32_t count) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), 0);
  return tokens_of(dir, ids);
}

struct Row {
  std::vector<std::int64_t> ids, targets;
};

Row row(const Blocks& blocks, std::int64_t block) {
  Row out{std::vector<std::int64_t>(static_cast<std::size_t>(blocks.block_size())),
          std::vector<std::int64_t>(static_cast<std::size_t>(blocks.block_size()))};
  blocks.read(block, out.ids.data(), out.targets.data());
  return out;
}

TEST_CASE("documents are packed as BOS ids EOS, one after another, whatever the number of threads") {
  const TemporaryDirectory dir;
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += "{\"text\": \"document " + std::to_string(i) + " says hello\"}\n";
  const Corpus corpus({dir.write("c.jsonl", lines)}, "text", "data.path");
  core::ModelConfig model;
  model.vocab_size = 290;
  const auto silent = [](std::string_view, std::int64_t, std::int64_t) {};
  const Tokenizer tokenizer = Tokenizer::from_model(Tokenizer::train(corpus, model, silent), "here");

  std::vector<std::int32_t> even, odd;  // worked out one document at a time
  int number = 0;
  corpus.for_each_document([&](std::string_view text, std::int64_t) {
    auto& out = number++ % 2 == 0 ? even : odd;
    out.push_back(1);
    for (const std::int32_t id : tokenizer.encode(text)) out.push_back(id);
    out.push_back(2);
  });
  for (const int threads : {1, 3}) {
    TokenWriter first(dir.path() / "first", TokenType::uint16), second(dir.path() / "second", TokenType::int32);
    std::vector<std::int64_t> progress;
    pack(
        corpus, tokenizer, {1, 2, threads}, [&](std::int64_t document) -> TokenWriter& { return document % 2 == 0 ? first : second; },
        [&](std::string_view, std::int64_t done, std::int64_t) { progress.push_back(done); }, 100, 100 + corpus.bytes());
    first.close();
    second.close();
    const auto read = [&](const char* name, TokenType type, std::int64_t count) {
      const TokenArray tokens(std::make_shared<const MappedFile>(dir.path() / name), 0, type, count);
      std::vector<std::int64_t> ids(static_cast<std::size_t>(count));
      tokens.copy(0, count, ids.data());
      return std::vector<std::int32_t>(ids.begin(), ids.end());
    };
    CHECK(read("first", TokenType::uint16, first.count()) == even);
    CHECK(read("second", TokenType::int32, second.count()) == odd);
    CHECK(progress.front() == 100);
    CHECK(progress.back() == 100 + corpus.bytes());
    CHECK(std::is_sorted(progress.begin(), progress.end()));
  }
}

TEST_CASE("text blocks have L - 1 targets inside the block, and a short tail is not used") {
  const TemporaryDirectory dir;
  const Blocks blocks(tokens_of(dir, {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}), 4, BlockRule::within_block);
  CHECK(blocks.size() == 2);
  CHECK(blocks.targets_per_block() == 3);
  CHECK(row(blocks, 0).ids == std::vector<std::int64_t>{10, 11, 12, 13});
  CHECK(row(blocks, 0).targets == std::vector<std::int64_t>{11, 12, 13, kNoTarget});
  CHECK(row(blocks, 1).ids == std::vector<std::int64_t>{14, 15, 16, 17});
  CHECK(row(blocks, 1).targets == std::vector<std::int64_t>{15, 16, 17, kNoTarget});
}

TEST_CASE("token-file blocks look one token ahead, so all L positions have a target") {
  const TemporaryDirectory dir;
  const Blocks blocks(counting(dir, 9), 4, BlockRule::with_next_token);
  CHECK(blocks.size() == 2);
  CHECK(row(blocks, 1).ids == std::vector<std::int64_t>{4, 5, 6, 7});
  CHECK(row(blocks, 1).targets == std::vector<std::int64_t>{5, 6, 7, 8});
  CHECK(Blocks(counting(dir, 8), 4, BlockRule::with_next_token).size() == 1);
  CHECK(Blocks(counting(dir, 4), 4, BlockRule::with_next_token).size() == 0);
  CHECK(row(blocks.slice(1, 1), 0).ids == row(blocks, 1).ids);
}

TEST_CASE("the split holds out round(fraction * documents), at least one and never all, by seed alone") {
  const auto held = [](std::int64_t documents, double fraction, std::uint64_t seed) {
    const auto split = held_out_documents(documents, fraction, seed);
    REQUIRE(split.size() == static_cast<std::size_t>(documents));
    return std::count(split.begin(), split.end(), true);
  };
  CHECK(held(1000, 0.05, 1) == 50);
  CHECK(held(10, 0.01, 1) == 1);
  CHECK(held(2, 0.5, 1) == 1);
  CHECK(held(3, 0.5, 1) == 2);
  CHECK(held_out_documents(1000, 0.05, 1) == held_out_documents(1000, 0.05, 1));
  CHECK(held_out_documents(1000, 0.05, 1) != held_out_documents(1000, 0.05, 2));
}

TEST_CASE("an epoch visits every block once, in an order of its own; without shuffling in file order") {
  const TemporaryDirectory dir;
  const Blocks blocks(counting(dir, 100), 4, BlockRule::within_block);
  const auto epoch = [](Batcher& batcher) {
    std::vector<std::int64_t> first_ids;
    for (int i = 0; i < 5; ++i) {
      const Batch batch = batcher.next(5);
      CHECK(batch.targets == 15);
      for (int b = 0; b < 5; ++b) first_ids.push_back(batch.ids_BL[b][0].item<std::int64_t>() / 4);
    }
    return first_ids;
  };
  Batcher shuffled(blocks, true, 7), ordered(blocks, false, 7);
  const auto one = epoch(shuffled);
  CHECK(shuffled.epoch() == 1.0);
  const auto two = epoch(shuffled);
  CHECK(one != two);
  CHECK(std::set<std::int64_t>(one.begin(), one.end()).size() == 25);
  CHECK(std::set<std::int64_t>(two.begin(), two.end()).size() == 25);
  std::vector<std::int64_t> in_order(25);
  std::iota(in_order.begin(), in_order.end(), 0);
  CHECK(epoch(ordered) == in_order);

  SUBCASE("a position is all that is needed to go on, over the end of an epoch too") {
    Batcher resumed(blocks, true, 7);
    resumed.seek(23);
    const Batch batch = resumed.next(4);
    for (int b = 0; b < 4; ++b) CHECK(batch.ids_BL[b][0].item<std::int64_t>() / 4 == (b < 2 ? one[23 + b] : two[b - 2]));
    CHECK(resumed.position() == 27);
  }
  SUBCASE("another seed is another order") {
    Batcher other(blocks, true, 8);
    CHECK(epoch(other) != one);
  }
}

}  // namespace
}  // namespace moelab::worker
