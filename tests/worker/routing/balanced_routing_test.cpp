// BASE and Sinkhorn: assignments that balance by themselves.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "tests/worker/routing/routing_case.h"
#include "worker/routing/balanced_assignment.h"
#include "worker/routing/transport_plan.h"

namespace moelab::worker::test {
namespace {

double total(const torch::Tensor& score_TE, const torch::Tensor& expert_T) {
  return score_TE.gather(1, expert_T.unsqueeze(1)).sum().item<double>();
}

// Sizes floor(T/E) or ceil(T/E).
bool balanced(const torch::Tensor& expert_T, std::int64_t experts) {
  const auto count = torch::bincount(expert_T, {}, experts);
  return count.max().item<std::int64_t>() - count.min().item<std::int64_t>() <= 1;
}

// The best balanced assignment by trying all of them.
double best_of_all(const torch::Tensor& score_TE) {
  const auto T = score_TE.size(0), E = score_TE.size(1);
  const auto score = score_TE.contiguous();
  const auto* s = score.const_data_ptr<double>();
  double best = -1e300;
  std::vector<std::int64_t> load(static_cast<std::size_t>(E), 0);
  const auto floor = T / E, extras = T % E;
  const auto place = [&](auto&& self, std::int64_t t, std::int64_t used, double sum) -> void {
    if (t == T) {
      best = std::max(best, sum);
      return;
    }
    for (std::int64_t e = 0; e < E; ++e) {
      auto& n = load[static_cast<std::size_t>(e)];
      if (n > floor || (n == floor && used == extras)) continue;
      const bool extra = n++ == floor;
      self(self, t + 1, used + extra, sum + s[t * E + e]);
      --n;
    }
  };
  place(place, 0, 0, 0);
  return best;
}

}  // namespace

TEST_CASE("the balanced assignment is the best of all, equal sizes or not") {
  std::mt19937 random(8);
  torch::manual_seed(8);
  for (int n = 0; n < 1500; ++n) {
    const std::int64_t E = 1 + random() % 4, T = 1 + random() % (E > 2 ? 8 : 11);
    CAPTURE(n);
    CAPTURE(T);
    CAPTURE(E);
    auto score = torch::randn({T, E}, torch::kFloat64);
    if (n % 3 == 0) score = (score * 2).round();  // ties
    const auto expert = balanced_assignment(score);
    REQUIRE(balanced(expert, E));
    REQUIRE(total(score, expert) == doctest::Approx(best_of_all(score)).epsilon(1e-12));
  }
}

TEST_CASE("no exchange along any circle of experts improves a large assignment") {
  torch::manual_seed(9);
  const std::int64_t T = 515, E = 8;
  // Scores that pull almost every token to one expert.
  auto score = torch::randn({T, E}, torch::kFloat64);
  score.select(1, 2).add_(3);
  const auto expert = balanced_assignment(score);
  REQUIRE(balanced(expert, E));
  // gain[a][b]: the most that moving one token from a to b adds; no circle of moves may add anything (Floyd-Warshall).
  auto gain = torch::full({E, E}, -1e9, torch::kFloat64);
  for (std::int64_t t = 0; t < T; ++t) {
    const auto a = expert[t].item<std::int64_t>();
    gain[a] = torch::maximum(gain[a], score[t] - score[t][a]);
  }
  for (std::int64_t m = 0; m < E; ++m) gain = torch::maximum(gain, gain.select(1, m).unsqueeze(1) + gain.select(0, m).unsqueeze(0));
  CHECK(gain.diagonal().max().item<double>() <= 1e-9);
}

TEST_CASE("BASE assigns evenly in training and greedily in evaluation, weighs by the sigmoid, and learns through it") {
  auto config = routing_config(4, 1);
  config.moe.routing = core::Routing::base;
  const auto router = identity_router(config);
  torch::manual_seed(10);
  const auto x_TD = torch::randn({21, 4}) + torch::tensor({2.0f, 0.0f, 0.0f, 0.0f});
  const auto train = router->route(x_TD, {.training = true}), eval = router->route(x_TD, {.training = false});
  CHECK(balanced(train.expert_TK.squeeze(1), 4));
  CHECK_FALSE(balanced(eval.expert_TK.squeeze(1), 4));
  CHECK(eval.expert_TK.squeeze(1).equal(x_TD.argmax(1)));
  CHECK(torch::allclose(train.weight_TK, x_TD.gather(1, train.expert_TK).sigmoid(), 0, 1e-6));
  train.weight_TK.sum().backward();
  // d sigmoid(a) / d centroid_e = sum over its tokens of sigmoid'(a) x.
  const auto a = x_TD.gather(1, train.expert_TK);
  const auto expected = torch::zeros({4, 4}).index_add_(0, train.expert_TK.squeeze(1), a.sigmoid() * (1 - a.sigmoid()) * x_TD);
  CHECK(torch::allclose(router->weight_ED.grad(), expected, 1e-5, 1e-6));
}

TEST_CASE("the transport plan has the rows and columns it should have") {
  torch::manual_seed(11);
  const auto z = torch::randn({200, 6}) * 1.5 + torch::tensor({2.0f, 0.0f, 0.0f, 0.0f, 0.0f, -2.0f});
  const auto scaled = z.to(torch::kFloat64) + transport_log_scale_E(z);
  const auto plan = scaled.softmax(1) / 200;  // u makes every row sum to 1/T
  CHECK((plan.sum(0) - 1.0 / 6).abs().max().item<double>() < 1e-3);
  // A plain iteration on the matrix itself.
  auto v = torch::ones({6}, torch::kFloat64);
  const auto kernel = z.to(torch::kFloat64).exp();
  for (int i = 0; i < 100; ++i) {
    const auto u = 1.0 / 200 / kernel.mv(v);
    v = 1.0 / 6 / kernel.t().mv(u);
  }
  CHECK(torch::allclose(plan, kernel * v / (kernel * v).sum(1, true) / 200, 1e-2, 1e-6));
}

TEST_CASE("Sinkhorn picks by the plan in training and by the logits in evaluation; weights come from the logits alone") {
  torch::manual_seed(12);
  const auto x_TD = torch::randn({400, 4}) + torch::tensor({1.5f, 0.0f, 0.0f, 0.0f});
  for (const std::int64_t K : {1, 2}) {
    auto config = routing_config(4, K);
    config.moe.routing = core::Routing::sinkhorn;
    const auto router = identity_router(config);
    const auto train = router->route(x_TD, {.training = true}), eval = router->route(x_TD, {.training = false});
    const auto plan = x_TD.to(torch::kFloat64) + transport_log_scale_E(x_TD);
    CHECK(train.expert_TK.equal(std::get<1>(plan.topk(K, 1))));
    CHECK(eval.expert_TK.equal(std::get<1>(x_TD.topk(K, 1))));
    const auto activation = K == 1 ? x_TD.sigmoid() : x_TD.softmax(1);
    CHECK(torch::allclose(train.weight_TK, activation.gather(1, train.expert_TK), 0, 1e-6));
    CHECK(torch::allclose(eval.weight_TK, activation.gather(1, eval.expert_TK), 0, 1e-6));
    // The plan balances far better than the logits do.
    const auto most = [](const Route& route) {
      return route.count_KE.sum(0).max().item<double>() / static_cast<double>(route.expert_TK.numel());
    };
    CHECK(most(train) < 0.35);
    CHECK(most(eval) > (K == 1 ? 0.6 : 0.4));
  }
}

}  // namespace moelab::worker::test
