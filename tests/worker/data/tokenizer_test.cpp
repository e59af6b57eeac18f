// Tokenizer: training is deterministic and exact, limits are explained, loaded models are checked against the run.
#include "worker/data/tokenizer.h"

#include <doctest/doctest.h>

#include "tests/worker/data/temporary_directory.h"

namespace moelab::worker {
namespace {

using test::error_of;
using test::TemporaryDirectory;

const ProgressFn kSilent = [](std::string_view, std::int64_t, std::int64_t) {};

std::string story() {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "The little fox number " + std::to_string(i) + " ran home.\n    Then it slept, happily.\n";
  return text;
}

Corpus corpus_in(const TemporaryDirectory& dir) {
  return Corpus({dir.write("corpus/a.txt", story())}, "text", "data.path");
}

core::ModelConfig model_of(std::int64_t vocab_size) {
  core::ModelConfig model;
  model.vocab_size = vocab_size;
  return model;
}

TEST_CASE("the same corpus trains the same model, of the size asked for") {
  const TemporaryDirectory dir;
  const Corpus corpus = corpus_in(dir);
  const std::string model = Tokenizer::train(corpus, model_of(320), kSilent);
  CHECK(model == Tokenizer::train(corpus, model_of(320), kSilent));
  const Tokenizer tokenizer = Tokenizer::from_model(model, "here");
  CHECK(tokenizer.vocab_size() == 320);
  CHECK(tokenizer.bos_id() == 1);
  CHECK(tokenizer.eos_id() == 2);
}

TEST_CASE("text comes back exactly, unknown characters and white space included") {
  const TemporaryDirectory dir;
  const Tokenizer tokenizer = Tokenizer::from_model(Tokenizer::train(corpus_in(dir), model_of(320), kSilent), "here");
  for (const std::string text : {"The little fox", "  two spaces\n\n\tand a tab \n", "caf\xc3\xa9 \xe6\xbc\xa2", "x"}) {
    CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
  }
}

TEST_CASE("special tokens get the ids of the configuration, and may be absent") {
  const TemporaryDirectory dir;
  core::ModelConfig model = model_of(320);
  model.bos_token_id = 0;
  model.eos_token_id = std::nullopt;
  model.pad_token_id = 5;
  const Tokenizer tokenizer = Tokenizer::from_model(Tokenizer::train(corpus_in(dir), model, kSilent), "here");
  CHECK(tokenizer.bos_id() == 0);
  CHECK(!tokenizer.eos_id());
  model.pad_token_id = 320;
  CHECK(error_of([&] { Tokenizer::train(corpus_in(dir), model, kSilent); }) ==
        "model.pad_token_id: 320 does not fit in model.vocab_size 320; set it below");
}

TEST_CASE("a vocabulary the corpus cannot support names the largest that works, and that one works") {
  const TemporaryDirectory dir;
  const Corpus corpus = corpus_in(dir);
  const std::string message = error_of([&] { Tokenizer::train(corpus, model_of(30000), kSilent); });
  const std::string before = "model.vocab_size: 30000 is larger than the corpus supports; set it to at most ";
  REQUIRE(message.substr(0, before.size()) == before);
  const std::int64_t largest = std::stoll(message.substr(before.size()));
  CHECK(Tokenizer::from_model(Tokenizer::train(corpus, model_of(largest), kSilent), "here").vocab_size() == largest);
  CHECK(error_of([&] { Tokenizer::train(corpus, model_of(largest + 1), kSilent); }).find("at most " + std::to_string(largest)) !=
        std::string::npos);
}

TEST_CASE("a vocabulary too small for bytes and characters names the smallest that works") {
  const TemporaryDirectory dir;
  const Corpus corpus = corpus_in(dir);
  const std::string message = error_of([&] { Tokenizer::train(corpus, model_of(260), kSilent); });
  const std::string before = "model.vocab_size: 260 is too small for the 256 bytes and the characters of the corpus; set it to at least ";
  REQUIRE(message.substr(0, before.size()) == before);
  const std::int64_t smallest = std::stoll(message.substr(before.size()));
  CHECK(Tokenizer::from_model(Tokenizer::train(corpus, model_of(smallest), kSilent), "here").vocab_size() == smallest);
}

TEST_CASE("a loaded tokenizer must fit the run") {
  const TemporaryDirectory dir;
  const std::string file = dir.write("t.model", Tokenizer::train(corpus_in(dir), model_of(320), kSilent));
  const Tokenizer tokenizer = Tokenizer::load(file);
  core::RunConfig config;
  config.model.vocab_size = 320;
  tokenizer.check(config);
  config.model.vocab_size = 321;
  CHECK(error_of([&] { tokenizer.check(config); }) ==
        "model.vocab_size: 321, but the tokenizer " + file + " has 320 tokens; set model.vocab_size to 320");
  config.model.vocab_size = 320;
  config.model.bos_token_id = 7;
  CHECK(error_of([&] { tokenizer.check(config); }) ==
        "model.bos_token_id: 7, but the tokenizer " + file + " has 1; set it to 1, or set data.bos: false");
  config.data.bos = false;
  tokenizer.check(config);
  CHECK(error_of([&] { Tokenizer::load(dir.write("bad.model", "nonsense")); }) ==
        (dir.path() / "bad.model").string() + ": not a SentencePiece model");
  CHECK(error_of([&] { Tokenizer::load(dir.path() / "none.model"); }).find("none.model: cannot be read") != std::string::npos);
}

}  // namespace
}  // namespace moelab::worker
