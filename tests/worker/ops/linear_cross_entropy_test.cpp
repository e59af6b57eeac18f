#include "worker/ops/linear_cross_entropy.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/worker/ops/op_check.h"

using namespace moelab::worker;
using namespace moelab::worker::test;

namespace {

constexpr std::int64_t kIgnored = -100;

torch::Tensor targets(std::int64_t tokens, std::int64_t vocab) {
  auto target = (normal({tokens}, 21).abs() * 1e6).to(torch::kInt64).remainder(vocab);
  target.slice(0, 0, tokens, 5).fill_(kIgnored);
  return target;
}

Op head(bool fused, std::int64_t tokens, std::int64_t vocab, double scale) {
  return [=](const Tensors& in) -> Tensors {
    const auto run = fused ? linear_cross_entropy : linear_cross_entropy_reference;
    return {run(in[0], in[1], targets(tokens, vocab), scale, kIgnored).scaled};
  };
}

}  // namespace

TEST_CASE("the head with its loss equals the formula, with ignored targets and a scale") {
  check_same(head(true, 31, 45, 0.7), head(false, 31, 45, 0.7), {normal({31, 12}, 1), normal({45, 12}, 2)}, 1e-5);
  const auto wide = torch::kFloat64;
  check_same(head(true, 31, 45, 0.7), head(false, 31, 45, 0.7), {normal({31, 12}, 1, wide), normal({45, 12}, 2, wide)}, 1e-12);
  check_finite_differences(head(true, 4, 5, 1.3), {normal({4, 3}, 1, wide), normal({5, 3}, 2, wide)});
}

TEST_CASE("several chunks of rows equal the formula") {
  // 64 rows fit a chunk of logits for this vocabulary; 150 rows make three chunks, the last one shorter.
  const std::int64_t tokens = 150, vocab = 262144;
  check_same(head(true, tokens, vocab, 0.01), head(false, tokens, vocab, 0.01), {normal({tokens, 2}, 1), normal({vocab, 2}, 2)}, 1e-5);
}

TEST_CASE("the unscaled sum is in nats over the valid targets only") {
  const auto x = torch::zeros({3, 2}), w = torch::zeros({8, 2});
  const auto loss = linear_cross_entropy(x, w, torch::tensor({1, -100, 7}, torch::kInt64), 0.5, kIgnored);
  CHECK((loss.sum.scalar_type() == torch::kFloat64));
  CHECK(loss.sum.item<double>() == doctest::Approx(2 * std::log(8.0)));
  CHECK(loss.scaled.item<double>() == doctest::Approx(std::log(8.0)));
}

TEST_CASE("every row tells its own loss, over several chunks too, and 0 where there is no target") {
  for (const auto& [tokens, vocab] : {std::pair<std::int64_t, std::int64_t>{31, 45}, {150, 262144}}) {
    for (const bool gradient : {true, false}) {
      const auto x = normal({tokens, 2}, 1).requires_grad_(gradient), w = normal({vocab, 2}, 2);
      const auto target_T = targets(tokens, vocab);
      const auto loss = linear_cross_entropy(x, w, target_T, 0.3, kIgnored);
      const auto expected = linear_cross_entropy_reference(x, w, target_T, 0.3, kIgnored);
      CHECK((loss.nll_T.scalar_type() == torch::kFloat64));
      CHECK_FALSE(loss.nll_T.requires_grad());
      CHECK(difference(loss.nll_T, expected.nll_T) <= 1e-5);
      CHECK(loss.nll_T.slice(0, 0, tokens, 5).abs().max().item<double>() == 0);
      CHECK(loss.nll_T.sum().item<double>() == doctest::Approx(loss.sum.item<double>()).epsilon(1e-12));
    }
  }
}

TEST_CASE("a batch without targets has loss and gradient zero") {
  const auto x = normal({3, 2}, 1).requires_grad_(), w = normal({8, 2}, 2).requires_grad_();
  const auto loss = linear_cross_entropy(x, w, torch::full({3}, kIgnored, torch::kInt64), 1, kIgnored);
  loss.scaled.backward();
  CHECK(loss.scaled.item<float>() == 0);
  CHECK(x.grad().abs().max().item<float>() == 0);
}

TEST_CASE("the upstream factor reaches the gradient") {
  const auto run = [](double factor) {
    const auto x = normal({5, 3}, 1).requires_grad_(), w = normal({9, 3}, 2).requires_grad_();
    (linear_cross_entropy(x, w, targets(5, 9), 1, kIgnored).scaled * factor).backward();
    return x.grad();
  };
  CHECK(difference(run(3), run(1) * 3) <= 1e-6);
}

TEST_CASE("a target outside the vocabulary is refused") {
  CHECK_THROWS(linear_cross_entropy(normal({1, 2}, 1), normal({8, 2}, 2), torch::tensor({8}, torch::kInt64), 1, kIgnored));
}

TEST_CASE("without a gradient the loss is the same") {
  const auto x = normal({31, 12}, 1), w = normal({45, 12}, 2);
  const auto expected = linear_cross_entropy(x.clone().requires_grad_(), w, targets(31, 45), 1, kIgnored).sum;
  const torch::NoGradGuard no_grad;
  CHECK(torch::equal(linear_cross_entropy(x, w, targets(31, 45), 1, kIgnored).sum, expected));
}
