// Reading a text in pieces through the cache gives the logits of reading it at once, for every form of attention.
#include "worker/model/kv_cache.h"

#include <doctest/doctest.h>

#include <functional>

#include "core/error.h"
#include "tests/worker/model/model_case.h"

using namespace moelab;
using namespace moelab::worker;
using namespace moelab::worker::test;

namespace {

using Ids = std::vector<std::int64_t>;

core::RunConfig with(core::RunConfig config, const std::function<void(core::RunConfig&)>& change) {
  change(config);
  return config;
}

std::vector<std::pair<std::string, core::RunConfig>> forms() {
  return {{"dense", small_config()},
          {"moe", moe_config(6, 2)},
          {"shared and biased", with(moe_config(6, 2),
                                     [](auto& c) {
                                       c.moe.num_shared_experts = 1;
                                       c.moe.lb_gamma = 0.01;
                                       c.moe.capacity_factor = c.moe.eval_capacity_factor = 0.5;
                                     })},
          {"grouped heads", with(small_config(), [](auto& c) { c.model.num_key_value_heads = 2; })},
          {"one key head", with(moe_config(4, 1), [](auto& c) { c.model.num_key_value_heads = 1; })},
          {"tied head", with(small_config(), [](auto& c) { c.model.tie_word_embeddings = true; })},
          {"qk_norm head", with(small_config(), [](auto& c) { c.model.qk_norm = core::QkNorm::head; })},
          {"qk_norm full", with(small_config(), [](auto& c) {
             c.model.qk_norm = core::QkNorm::full;
             c.model.num_key_value_heads = 2;
           })}};
}

torch::Tensor whole_text(LanguageModel& model, const Ids& ids) {
  const torch::NoGradGuard no_grad;
  return model.logits(torch::tensor(ids, torch::kInt64).unsqueeze(0))[0][-1];
}

}  // namespace

TEST_CASE("texts of different lengths, read in pieces together, have the logits of each read at once") {
  for (const auto& [name, config] : forms()) {
    CAPTURE(name);
    LanguageModel model(config);
    model.eval();
    std::vector<Ids> texts(3);
    KvCache cache = model.make_cache(3, 16);
    Ids last(3, 7);
    // How many tokens each text gets: prompts of different lengths, single tokens, a text that rests, a piece of several.
    const std::vector<std::vector<std::int64_t>> rounds{{5, 1, 9}, {1, 1, 1}, {1, 0, 1}, {0, 4, 1}, {3, 1, 1}, {0, 0, 3}};
    for (const auto& round : rounds) {
      std::vector<LanguageModel::NewTokens> pieces;
      for (std::size_t i = 0; i < 3; ++i) {
        if (round[i] == 0) continue;
        Ids piece;
        for (std::int64_t n = 0; n < round[i]; ++n) piece.push_back(last[i] = (last[i] * 13 + 5 + static_cast<std::int64_t>(i)) % 61);
        texts[i].insert(texts[i].end(), piece.begin(), piece.end());
        pieces.push_back({static_cast<std::int64_t>(i), piece});
      }
      const auto logits = model.next_logits(pieces, cache);
      REQUIRE((logits.sizes() == torch::IntArrayRef({static_cast<std::int64_t>(pieces.size()), 61})));
      for (std::size_t n = 0; n < pieces.size(); ++n) {
        const auto& text = texts[static_cast<std::size_t>(pieces[n].sequence)];
        CHECK(cache.length(pieces[n].sequence) == static_cast<std::int64_t>(text.size()));
        CHECK(relative_difference(logits[static_cast<std::int64_t>(n)], whole_text(model, text)) <= 1e-5);
      }
    }
  }
}

TEST_CASE("a cleared text starts at position 0 again, and a text beyond the capacity is refused with nothing changed") {
  LanguageModel model(moe_config(4, 2));
  KvCache cache = model.make_cache(2, 100);
  CHECK(cache.capacity() == 16);  // no further than the model's positions
  model.next_logits({{0, Ids{1, 2, 3}}, {1, Ids(16, 5)}}, cache);
  CHECK_THROWS_WITH_AS(model.next_logits({{0, {4}}, {1, {4}}}, cache), doctest::Contains("a text of 17 tokens"), core::Error);
  CHECK(relative_difference(model.next_logits({{0, {4}}}, cache)[0], whole_text(model, {1, 2, 3, 4})) <= 1e-5);
  cache.clear(1);
  CHECK(relative_difference(model.next_logits({{1, {9, 8}}}, cache)[0], whole_text(model, {9, 8})) <= 1e-5);
}

TEST_CASE("in bf16 the cache holds bf16 and the logits stay close") {
  auto config = small_config();
  config.train.precision = core::Precision::bf16;
  LanguageModel model(config);
  KvCache cache = model.make_cache(1, 16);
  model.next_logits({{0, {3, 1, 4, 1, 5}}}, cache);
  const auto logits = model.next_logits({{0, {9}}}, cache)[0];
  CHECK((logits.scalar_type() == torch::kFloat32));
  CHECK(relative_difference(logits, whole_text(model, {3, 1, 4, 1, 5, 9})) <= 0.03);
}
