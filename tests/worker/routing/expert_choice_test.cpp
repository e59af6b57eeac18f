// Expert choice against a plain loop over experts and tokens.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "tests/worker/routing/routing_case.h"

namespace moelab::worker::test {

TEST_CASE("expert choice equals a plain loop: every expert takes its best tokens of each pool, ties by token order") {
  std::mt19937 random(5);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  int unrouted = 0, crowded = 0;
  for (int n = 0; n < 2000; ++n) {
    CAPTURE(n);
    const int E = 2 + below(7), K = 1 + below(E), sequences = 1 + below(3), length = 1 + below(12), T = sequences * length;
    auto config = routing_config(E, K);
    config.moe.routing = core::Routing::expert_choice;
    config.moe.ec_capacity = 0.5 + 0.25 * below(5);
    if (below(2)) config.moe.ec_scope = core::ChoiceScope::sequence;
    const auto x_TD = (torch::randint(7, {T, E}) - 3).to(torch::kFloat32);  // few values, so many ties
    const auto route = identity_router(config)->route(x_TD, {.training = true, .sequences = sequences});
    const int pool = config.moe.ec_scope == core::ChoiceScope::sequence ? length : T;
    const int capacity = std::min(pool, std::max(1, static_cast<int>(config.moe.ec_capacity * pool * K / E)));

    const auto score_TE = route.score_TE.detach();
    REQUIRE(torch::allclose(score_TE, x_TD.softmax(1), 0, 1e-6));
    auto expected = torch::zeros({T, E}, torch::kBool);
    for (int start = 0; start < T; start += pool) {
      for (int e = 0; e < E; ++e) {
        std::vector<int> order;
        for (int t = start; t < start + pool; ++t) order.push_back(t);
        std::stable_sort(order.begin(), order.end(),
                         [&](int a, int b) { return score_TE[a][e].item<float>() > score_TE[b][e].item<float>(); });
        for (int i = 0; i < capacity; ++i) expected[order[static_cast<std::size_t>(i)]][e] = true;
      }
    }
    REQUIRE(route.keep_TK.equal(expected));
    REQUIRE(route.weight_TK.equal(route.score_TE));
    REQUIRE(route.count_KE.equal(torch::full({1, E}, T / pool * capacity, torch::kInt64)));
    unrouted += (expected.sum(1) == 0).sum().item<int>();
    crowded += (expected.sum(1) > K).sum().item<int>();
    if (n > 200 && n % 10 != 0) n += 9;  // the loop above is slow; the first cases and every tenth later one
  }
  CHECK(unrouted > 50);
  CHECK(crowded > 50);
}

TEST_CASE("evaluation and generation choose causally: K best experts a token, unless the leaky protocol is asked for") {
  auto config = routing_config(5, 2);
  config.moe.routing = core::Routing::expert_choice;
  const auto router = identity_router(config);
  torch::manual_seed(6);
  const auto x_TD = torch::randn({20, 5});
  const auto causal = router->route(x_TD, {.training = false});
  CHECK(causal.expert_TK.equal(std::get<1>(x_TD.topk(2, 1))));
  CHECK_FALSE(causal.keep_TK.defined());
  const auto leaky = router->route(x_TD, {.training = false, .causal = false});
  CHECK(leaky.keep_TK.equal(router->route(x_TD, {.training = true}).keep_TK));
  const auto generating = router->route(x_TD, {.training = false, .generating = true, .causal = false});
  CHECK(generating.expert_TK.equal(causal.expert_TK));
  // A token's causal route does not change with what follows it.
  CHECK(router->route(x_TD.slice(0, 0, 7), {.training = false}).expert_TK.equal(causal.expert_TK.slice(0, 0, 7)));
}

TEST_CASE("gradients of the scores of expert choice equal finite differences") {
  auto config = routing_config(4, 2);
  config.moe.routing = core::Routing::expert_choice;
  const auto shape = core::model_shape(config);
  const auto router = make_router({config, shape});
  router->to(torch::kFloat64);
  torch::manual_seed(12);
  const auto x_TD = torch::randn({9, 4}, torch::kFloat64), mix_TE = torch::randn({9, 4}, torch::kFloat64);
  const auto start = torch::randn({4, 4}, torch::kFloat64);
  const auto set = [&](const torch::Tensor& weight_ED) {
    torch::NoGradGuard no_grad;
    router->weight_ED.copy_(weight_ED);
  };
  const auto loss = [&] {
    const auto route = router->route(x_TD, {.training = true});
    return (route.weight_TK * route.keep_TK * mix_TE).sum();
  };
  set(start);
  loss().backward();
  const auto numeric = numeric_gradient(start, [&](const torch::Tensor& weight_ED) {
    set(weight_ED);
    return loss().item<double>();
  });
  CHECK(torch::allclose(router->weight_ED.grad(), numeric, 1e-6, 1e-8));
}

}  // namespace moelab::worker::test
