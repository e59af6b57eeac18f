// Several corpora in one run: one tokenizer, splits of their own, equal parts in training, a label on every block.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "tests/worker/data/temporary_directory.h"
#include "worker/data/batcher.h"
#include "worker/data/data_source.h"
#include "worker/data/domain_mix.h"

namespace moelab::worker {
namespace {

using test::error_of;
using test::TemporaryDirectory;

struct Watched {
  std::vector<std::string> messages;
  std::vector<std::pair<std::int64_t, std::int64_t>> tokenised;  // done, total
  bool trained_tokenizer = false;
  DataWatcher watcher() {
    return {[this](std::string_view phase, std::int64_t done, std::int64_t total) {
              if (phase == "tokenize") tokenised.emplace_back(done, total);
              trained_tokenizer = trained_tokenizer || phase == "train_tokenizer";
            },
            [this](const std::string& message) { messages.push_back(message); }};
  }
};

std::string lines(const std::string& start, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "{\"text\": \"" + start + std::to_string(1000 + i) + " and so on\"}\n";
  return text;
}

// Every document of a domain begins with a word of its own; prose has three times the documents of math.
core::RunConfig three_domains(const TemporaryDirectory& dir) {
  core::RunConfig config;
  config.data.domains = {{"code", {dir.write("code/c.jsonl", lines("return ", 40))}},
                         {"math", {dir.write("math/m.jsonl", lines("what is 7 + ", 20))}},
                         {"prose", {dir.write("prose/p.jsonl", lines("the hen met a fox ", 60))}}};
  config.data.block_size = 8;
  config.data.val_fraction = 0.1;
  config.model.vocab_size = 320;
  return config;
}

TrainingData load(const core::RunConfig& config, const TemporaryDirectory& dir, Watched& watched) {
  return load_training_data(config, dir.path() / "cache", 1, watched.watcher());
}

std::vector<std::int64_t> ids_of(const Blocks& blocks, std::int64_t block) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(blocks.block_size())), targets = ids;
  blocks.read(block, ids.data(), targets.data());
  return ids;
}

std::map<std::int64_t, std::int64_t> blocks_by_domain(const Blocks& blocks) {
  std::map<std::int64_t, std::int64_t> counts;
  for (std::int64_t i = 0; i < blocks.size(); ++i) ++counts[blocks.domain(i)];
  return counts;
}

TEST_CASE("training takes equally many blocks of every domain, evaluation takes all") {
  const TemporaryDirectory dir;
  const core::RunConfig config = three_domains(dir);
  Watched watched;
  const TrainingData data = load(config, dir, watched);
  CHECK(data.train.domains() == std::vector<std::string>{"code", "math", "prose"});
  CHECK(data.val.domains() == data.train.domains());
  CHECK(data.summary.train_documents == 36 + 18 + 54);
  CHECK(data.summary.val_documents == 4 + 2 + 6);
  CHECK(data.tokenizer->vocab_size() == 320);

  const auto train = blocks_by_domain(data.train);
  REQUIRE(train.size() == 3);
  CHECK(train.at(0) == train.at(1));
  CHECK(train.at(1) == train.at(2));
  for (std::int64_t i = 0; i < data.train.size(); ++i) CHECK(data.train.domain(i) == i % 3);

  auto val = blocks_by_domain(data.val);
  CHECK(val[2] > 2 * val[1]);
  CHECK(val[0] + val[1] + val[2] == data.val.size());
  for (std::int64_t i = 1; i < data.val.size(); ++i) CHECK(data.val.domain(i - 1) <= data.val.domain(i));
}

TEST_CASE("a label tells where the text of a block is from, and no text of a block is from two domains") {
  const TemporaryDirectory dir;
  Watched watched;
  const TrainingData data = load(three_domains(dir), dir, watched);
  const std::vector<std::string> marks{"return", "what is", "hen met"};
  for (const Blocks* blocks : {&data.train, &data.val}) {
    std::vector<std::string> text(3);
    for (std::int64_t i = 0; i < blocks->size(); ++i) {
      const std::vector<std::int64_t> ids = ids_of(*blocks, i);
      text[static_cast<std::size_t>(blocks->domain(i))] += data.tokenizer->decode({ids.begin(), ids.end()});
    }
    for (std::size_t domain = 0; domain < 3; ++domain) {
      for (std::size_t mark = 0; mark < 3; ++mark) {
        INFO(domain, " ", mark);
        CHECK((text[domain].find(marks[mark]) != std::string::npos) == (domain == mark));
      }
    }
  }
}

TEST_CASE("a domain's documents are held out before packing: no text is on both sides, and none is lost") {
  const TemporaryDirectory dir;
  core::RunConfig config = three_domains(dir);
  const std::vector<std::string> held = held_out_texts(config, "math", 100, 1000);
  REQUIRE(held.size() == 2);
  config.data.block_size = 2;  // so that hardly a token is left over
  Watched watched;
  const TrainingData data = load(config, dir, watched);
  std::string val;
  for (std::int64_t i = 0; i < data.val.size(); ++i) {
    if (data.val.domain(i) != 1) continue;
    const auto ids = ids_of(data.val, i);
    val += data.tokenizer->decode({ids.begin(), ids.end()});
  }
  std::erase(val, ' ');
  for (std::string text : held) {
    std::erase(text, ' ');
    CHECK(val.find(text.substr(0, 12)) != std::string::npos);
  }
  CHECK(held_out_texts(config, "math", 1, 1000).size() == 1);
  CHECK(held_out_texts(config, "math", 1, 7).front() == "what is");
}

TEST_CASE("a text is cut between characters") {
  const TemporaryDirectory dir;
  core::RunConfig config = three_domains(dir);
  config.data.domains["math"] = {dir.write("math/u.jsonl", "{\"text\": \"\u00e4\u00e4\"}\n{\"text\": \"\u00e4\u00e4\"}\n")};
  CHECK(held_out_texts(config, "math", 5, 3).front() == "\u00e4");
  CHECK(held_out_texts(config, "math", 5, 4).front() == "\u00e4\u00e4");
}

TEST_CASE("the seed chooses which blocks of a large domain are trained on") {
  const TemporaryDirectory dir;
  core::RunConfig config = three_domains(dir);
  const auto prose = [&](const core::RunConfig& run) {
    Watched watched;
    const TrainingData data = load(run, dir, watched);
    std::set<std::vector<std::int64_t>> seen;
    for (std::int64_t i = 2; i < data.train.size(); i += 3) seen.insert(ids_of(data.train, i));
    return seen;
  };
  const auto first = prose(config);
  CHECK(first == prose(config));
  config.data.seed = 7;
  CHECK(first != prose(config));
}

TEST_CASE("the blocks of the smallest domain are all there, those of another one a shuffled part without repetition") {
  const auto numbered = [](const TemporaryDirectory& dir, const std::string& name, std::uint16_t first, std::int64_t blocks) {
    std::string bytes;
    for (std::int64_t i = 0; i < 2 * blocks; ++i) {
      const auto id = static_cast<std::uint16_t>(first + i / 2);
      bytes.append(reinterpret_cast<const char*>(&id), sizeof id);
    }
    const auto file = std::make_shared<const MappedFile>(dir.write(name, bytes));
    return Blocks({file, 0, TokenType::uint16, 2 * blocks}, 2, BlockRule::within_block);
  };
  const TemporaryDirectory dir;
  const std::vector<Blocks> parts{numbered(dir, "a", 100, 5), numbered(dir, "b", 200, 40)};
  const Blocks mix = balanced_mix({"a", "b"}, parts, 1);
  REQUIRE(mix.size() == 10);
  std::vector<std::int64_t> a, b;
  for (std::int64_t i = 0; i < mix.size(); ++i) (mix.domain(i) == 0 ? a : b).push_back(ids_of(mix, i).front());
  CHECK(std::set<std::int64_t>(a.begin(), a.end()) == std::set<std::int64_t>{100, 101, 102, 103, 104});
  CHECK(std::set<std::int64_t>(b.begin(), b.end()).size() == 5);
  CHECK_FALSE(std::is_sorted(b.begin(), b.end()));
  CHECK(*std::max_element(b.begin(), b.end()) >= 205);  // not merely the first five
  CHECK(*std::min_element(b.begin(), b.end()) >= 200);
  CHECK(*std::max_element(b.begin(), b.end()) < 240);

  const Blocks all = in_sequence({"a", "b"}, parts);
  REQUIRE(all.size() == 45);
  CHECK(ids_of(all, 4).front() == 104);
  CHECK(ids_of(all, 5).front() == 200);
  CHECK(ids_of(all.slice(5, 3), 2).front() == 202);
  CHECK(all.slice(5, 3).domain(0) == 1);
  CHECK(all.targets_per_block() == 1);
}

TEST_CASE("batches carry the labels, in shuffled epochs and after a seek") {
  const TemporaryDirectory dir;
  Watched watched;
  const TrainingData data = load(three_domains(dir), dir, watched);
  Batcher batcher(data.train, true, 1001), other(data.train, true, 1001);
  std::map<std::vector<std::int64_t>, std::set<std::int64_t>> domains;
  for (std::int64_t i = 0; i < data.train.size(); ++i) domains[ids_of(data.train, i)].insert(data.train.domain(i));
  std::map<std::int64_t, std::int64_t> counts;
  for (std::int64_t row = 0; row < 2 * data.train.size(); ++row) {
    const Batch batch = batcher.next(1);
    REQUIRE(batch.domain_B.numel() == 1);
    REQUIRE((batch.domain_B.scalar_type() == torch::kInt64));
    const auto* ids = batch.ids_BL.const_data_ptr<std::int64_t>();
    const auto domain = batch.domain_B.item<std::int64_t>();
    CHECK(domains.at({ids, ids + batch.ids_BL.numel()}).contains(domain));
    ++counts[domain];
  }
  CHECK(counts[0] == counts[2]);
  CHECK(counts[1] == counts[2]);

  batcher.seek(5);
  other.seek(2);
  other.next(3);
  const Batch a = batcher.next(7), b = other.next(7);
  CHECK(torch::equal(a.domain_B, b.domain_B));
  CHECK(torch::equal(a.ids_BL, b.ids_BL));
  const Batch validation = Batcher(data.val, false, 0).in_order(0, data.val.size());
  CHECK(torch::equal(validation.domain_B, std::get<0>(validation.domain_B.sort())));
}

TEST_CASE("a run without domains has no labels") {
  const TemporaryDirectory dir;
  core::RunConfig config = three_domains(dir);
  config.data.domains.clear();
  config.data.path = {(dir.path() / "prose").string()};
  config.model.vocab_size = 300;
  Watched watched;
  const TrainingData data = load(config, dir, watched);
  CHECK(data.train.domains().empty());
  CHECK_FALSE(Batcher(data.train, true, 1).next(2).domain_B.defined());
}

TEST_CASE("domains come from the cache, each for itself; progress runs once over all of them") {
  const TemporaryDirectory dir;
  core::RunConfig config = three_domains(dir);
  Watched first, second, third;
  const TrainingData built = load(config, dir, first);
  CHECK(!built.summary.cached);
  CHECK(first.trained_tokenizer);
  CHECK(std::is_sorted(first.tokenised.begin(), first.tokenised.end()));
  CHECK(first.tokenised.back().first == built.summary.bytes);
  for (const auto& [done, total] : first.tokenised) CHECK(total == built.summary.bytes);

  config.data.block_size = 4;
  const TrainingData cached = load(config, dir, second);
  CHECK(cached.summary.cached);
  CHECK(second.tokenised.empty());
  CHECK(cached.summary.train_tokens == built.summary.train_tokens);

  config.data.tokenizer = dir.write("t.model", built.tokenizer->model());
  dir.write("math/m.jsonl", lines("what is 9 + ", 30));
  const TrainingData changed = load(config, dir, third);
  CHECK(!changed.summary.cached);
  CHECK(third.tokenised.back().first < built.summary.bytes);  // prose, which comes last, was not tokenised again
  CHECK(changed.summary.train_documents == 36 + 27 + 54);
}

TEST_CASE("a notice says when one domain is far larger than another") {
  const TemporaryDirectory dir;
  core::RunConfig config = three_domains(dir);
  Watched uneven, even;
  const TrainingData data = load(config, dir, uneven);
  REQUIRE(uneven.messages.size() == 1);
  CHECK(uneven.messages[0].find("data.domains.prose (") == 0);
  CHECK(uneven.messages[0].find(" times the training text of data.domains.math (") != std::string::npos);
  CHECK(uneven.messages[0].find("training uses " + std::to_string(data.train.size() / 3) + " blocks of every domain") != std::string::npos);
  config.data.domains["code"] = {dir.write("code/c.jsonl", lines("the cow met a fox ", 58))};
  config.data.domains["math"] = {dir.write("math/m.jsonl", lines("the dog met a fox ", 44))};
  load(config, dir, even);
  CHECK(even.messages.empty());
}

TEST_CASE("what a person can get wrong with domains is explained") {
  const TemporaryDirectory dir;
  const core::RunConfig good = three_domains(dir);
  Watched watched;
  const auto why = [&](auto change) {
    core::RunConfig config = good;
    change(config);
    return error_of([&] { load(config, dir, watched); });
  };
  const auto starts = [](const std::string& text, const std::string& start) { return text.compare(0, start.size(), start) == 0; };
  CHECK(why([](auto& c) { c.data.domains["math"] = {"/nowhere/m.txt"}; }) ==
        "data.domains.math: no such file or directory: /nowhere/m.txt");
  CHECK(why([&](auto& c) { c.data.domains["math"] = {dir.write("one.txt", "a single document of which none can be held out")}; }) ==
        "data.domains.math: the corpus is one document, so none can be held out for validation; give more documents");
  CHECK(why([&](auto& c) { c.data.domains["math"].push_back((dir.path() / "prose").string()); }) ==
        "data.domains.prose: " + (dir.path() / "prose/p.jsonl").string() + " belongs to data.domains.math too; keep it in one");
  CHECK(starts(why([](auto& c) { c.data.block_size = 200; }), "data.domains.code: the held-out text holds "));
  const std::string bad = dir.write("bad.jsonl", "{]\n");
  CHECK(starts(why([&](auto& c) { c.data.domains["math"] = {bad}; }), bad + ":1: not valid JSON"));
  CHECK(why([](auto& c) { c.model.vocab_size = 9000; }).find("give more text in data.domains") != std::string::npos);
}

}  // namespace
}  // namespace moelab::worker
