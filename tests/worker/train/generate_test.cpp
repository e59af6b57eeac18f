// Generation: greedy follows the logits, sampling obeys its limits and its seed.
#include "worker/train/generate.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/worker/train/small_run.h"

namespace moelab::worker {
namespace {

TEST_CASE("greedy takes the likeliest token of the last position, step by step") {
  const test::TemporaryDirectory dir;
  const core::RunConfig config = test::small_moe_config(dir);
  LanguageModel model(config);
  SamplingOptions options;
  options.greedy = true;
  options.max_new_tokens = 25;  // beyond the 16 positions
  const std::vector<std::int32_t> out = generate(model, {5, 6}, options, std::nullopt);
  REQUIRE(out.size() == 25);
  CHECK(out == generate(model, {5, 6}, options, std::nullopt));
  std::vector<std::int64_t> ids{5, 6};
  const torch::NoGradGuard no_grad;
  for (const std::int32_t id : out) {
    const std::vector<std::int64_t> window(ids.end() - std::min<std::ptrdiff_t>(16, static_cast<std::ptrdiff_t>(ids.size())), ids.end());
    CHECK(model.logits(torch::tensor(window, torch::kInt64).unsqueeze(0)).select(1, -1).argmax().item<std::int64_t>() == id);
    ids.push_back(id);
  }
  options.max_new_tokens = 5;
  CHECK(generate(model, {5, 6}, options, out[1]).size() == 2);  // ends with the end-of-text token
}

TEST_CASE("the seed decides the sample") {
  const test::TemporaryDirectory dir;
  LanguageModel model(test::small_config(dir));
  SamplingOptions options;
  options.max_new_tokens = 12;
  const auto with_seed = [&](std::uint64_t seed) {
    options.seed = seed;
    return generate(model, {1}, options, std::nullopt);
  };
  CHECK(with_seed(1) == with_seed(1));
  CHECK(with_seed(1) != with_seed(2));
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

}  // namespace
}  // namespace moelab::worker
