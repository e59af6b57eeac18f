// Generation: the texts are those of the model without a cache, each prompt for itself; sampling obeys its limits and its seed.
#include "worker/train/generate.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/error.h"
#include "tests/worker/train/small_run.h"

namespace moelab::worker {
namespace {

using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;

// The text of one prompt with the whole window read anew for every token: what generation computes, without its cache.
Ids without_cache(LanguageModel& model, const Ids& prompt, const SamplingOptions& options, std::uint64_t number) {
  const torch::NoGradGuard no_grad;
  model.eval();
  std::vector<std::int64_t> text(prompt.begin(), prompt.end());
  Ids out;
  for (std::int64_t i = 0; i < options.max_new_tokens; ++i) {
    const std::vector<std::int64_t> window(text.end() - std::min<std::ptrdiff_t>(16, static_cast<std::ptrdiff_t>(text.size())), text.end());
    const torch::Tensor last_V = model.logits(torch::tensor(window, torch::kInt64).unsqueeze(0)).select(1, -1)[0];
    const double random = to_unit(random64(options.seed, RandomStream::sampling, number, static_cast<std::uint64_t>(i)));
    text.push_back(sample_token(last_V, options, random));
    out.push_back(static_cast<std::int32_t>(text.back()));
  }
  return out;
}

// Weights far enough from zero that the likeliest token leads clearly and one changes with the text before it.
core::RunConfig lively(core::RunConfig config) {
  config.model.initializer_range = 0.3;
  return config;
}

TEST_CASE("with the cache, greedy and sampled texts are those without it, up to and beyond the window, in every form of the model") {
  const TemporaryDirectory dir;
  std::vector<core::RunConfig> forms{test::small_config(dir), test::small_moe_config(dir), test::small_config(dir),
                                     test::small_moe_config(dir), test::small_config(dir)};
  forms[1].moe.eval_capacity_factor = 0.5;  // generation drops nothing
  forms[2].model.num_key_value_heads = 1;
  forms[2].model.tie_word_embeddings = true;
  forms[3].model.qk_norm = core::QkNorm::head;
  forms[4].model.qk_norm = core::QkNorm::full;
  Ids longer;
  for (std::int32_t i = 0; i < 20; ++i) longer.push_back(i * 3);
  const std::vector<Ids> prompts{{5, 6}, {7, 8, 9, 10, 11, 12, 13, 14, 15}, {3}, longer};  // of 16 positions
  for (std::size_t form = 0; form < forms.size(); ++form) {
    CAPTURE(form);
    LanguageModel model(lively(forms[form]));
    for (const bool greedy : {true, false}) {
      SamplingOptions options;
      options.greedy = greedy;
      options.temperature = 1;
      options.seed = 11;
      options.max_new_tokens = 25;
      const std::vector<Ids> together = generate(model, prompts, options, std::nullopt);
      REQUIRE(together.size() == 4);
      for (std::size_t i = 0; i < prompts.size(); ++i) {
        CAPTURE(i);
        CHECK(together[i].size() == 25);
        CHECK(together[i] == without_cache(model, prompts[i], options, i));
      }
    }
  }
}

TEST_CASE("a text depends on the seed and its own number, not on the other prompts") {
  const TemporaryDirectory dir;
  LanguageModel model(lively(test::small_moe_config(dir)));
  SamplingOptions options;
  options.temperature = 1;
  options.max_new_tokens = 12;
  const Ids prompt{1, 2};
  const auto all = generate(model, {{4, 4, 4}, prompt, {9}, prompt}, options, std::nullopt);
  CHECK(generate(model, {prompt}, options, std::nullopt, 1)[0] == all[1]);
  CHECK(generate(model, {{8, 7, 6, 5, 4}, prompt}, options, std::nullopt)[1] == all[1]);
  CHECK(generate(model, {{9}, prompt}, options, std::nullopt, 2) == std::vector<Ids>{all[2], all[3]});
  CHECK(all[3] != all[1]);  // the same prompt under another number
  options.seed = 1;
  CHECK(generate(model, {prompt}, options, std::nullopt, 1)[0] != all[1]);
}

TEST_CASE("a text ends with the end-of-text token, and the others go on") {
  const TemporaryDirectory dir;
  LanguageModel model(lively(test::small_moe_config(dir)));
  SamplingOptions options;
  options.temperature = 1;
  options.max_new_tokens = 10;
  const auto open = generate(model, {{5, 6}, {1}}, options, std::nullopt);
  const std::int32_t end = open[0][3];
  REQUIRE(std::find(open[0].begin(), open[0].end(), end) == open[0].begin() + 3);
  REQUIRE(std::find(open[1].begin(), open[1].end(), end) == open[1].end());
  const auto closed = generate(model, {{5, 6}, {1}}, options, end);
  CHECK(closed[0] == Ids(open[0].begin(), open[0].begin() + 4));
  CHECK(closed[1] == open[1]);
  options.max_new_tokens = 0;
  CHECK(generate(model, {{5, 6}}, options, std::nullopt) == std::vector<Ids>{{}});
  CHECK_THROWS_WITH_AS(generate(model, {{5, 6}, {}}, options, std::nullopt), doctest::Contains("no tokens"), core::Error);
}

TEST_CASE("temperature, top-k and top-p by hand") {
  const torch::Tensor logits_V = torch::tensor({0.5, 0.2, 0.3}, torch::kFloat64).log();
  SamplingOptions options;
  options.temperature = 1;
  const auto at = [&](double random) { return sample_token(logits_V, options, random); };
  CHECK(at(0.0) == 0);  // likeliest first: 0 with 0.5, 2 with 0.3, 1 with 0.2
  CHECK(at(0.49) == 0);
  CHECK(at(0.51) == 2);
  CHECK(at(0.79) == 2);
  CHECK(at(0.81) == 1);
  options.temperature = 0.5;  // squares: 0.25, 0.09, 0.04 of 0.38
  CHECK(at(0.65) == 0);
  CHECK(at(0.67) == 2);
  CHECK(at(0.90) == 1);
  options.temperature = 1;
  options.top_k = 2;  // 0.5 and 0.3 of 0.8
  CHECK(at(0.62) == 0);
  CHECK(at(0.63) == 2);
  CHECK(at(0.9999) == 2);
  options.top_k = 0;
  options.top_p = 0.7;  // 0.5 is not enough, 0.8 is
  CHECK(at(0.9999) == 2);
  options.top_p = 0.4;
  CHECK(at(0.9999) == 0);
  options.temperature = 0;
  CHECK(sample_token(torch::tensor({1.0, 2.0, 2.0}), options, 0.99) == 1);
  options.temperature = 1;
  options.greedy = true;
  CHECK(sample_token(torch::tensor({1.0, 2.0, 2.0}), options, 0.99) == 1);
}

TEST_CASE("a draw is the one from the whole sorted vocabulary, for every limit") {
  torch::manual_seed(6);
  const torch::Tensor logits_V = torch::randn({200}, torch::kFloat64) * 2;
  const auto [sorted_V, ids_V] = logits_V.sort(/*dim=*/0, /*descending=*/true);
  SamplingOptions options;
  for (const double temperature : {0.5, 1.0, 3.0}) {
    for (const std::int64_t top_k : {0, 1, 7, 199, 200, 500}) {
      for (const double top_p : {0.0, 0.3, 0.9, 1.0}) {
        options.temperature = temperature;
        options.top_k = top_k;
        options.top_p = top_p;
        const std::int64_t k = top_k > 0 ? std::min<std::int64_t>(top_k, 200) : 200;
        const torch::Tensor p_k = (sorted_V.slice(0, 0, k) / temperature).softmax(0);
        std::int64_t count = 0;
        for (double sum = 0; count < k && (count == 0 || sum < top_p); ++count) sum += p_k[count].item<double>();
        const torch::Tensor end_k = p_k.slice(0, 0, count).cumsum(0) / p_k.slice(0, 0, count).sum();
        for (const double random : {0.0, 0.2, 0.55, 0.83, 0.97, 0.9999}) {
          const std::int64_t rank = std::min(count - 1, (end_k <= random).sum().item<std::int64_t>());
          CHECK(sample_token(logits_V, options, random) == ids_V[rank].item<std::int64_t>());
        }
      }
    }
  }
}

}  // namespace
}  // namespace moelab::worker
