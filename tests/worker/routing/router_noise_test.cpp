// Training noise of token choice, and the sampled policy.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/worker/routing/routing_case.h"
#include "worker/routing/router_noise.h"

namespace moelab::worker::test {
namespace {

core::RunConfig noisy_config(core::RouterNoise noise, std::int64_t experts = 4) {
  auto config = routing_config(experts, 2);
  config.moe.router_noise = noise;
  return config;
}

}  // namespace

TEST_CASE("annealed noise fades linearly and is gone after its share of the run") {
  core::MoeConfig moe;
  moe.noise_std = 0.2;
  moe.noise_anneal_frac = 0.25;
  const auto at = [&](std::int64_t step) { return annealed_std(moe, {.step = step, .max_steps = 41, .micro_batch = 0}); };
  CHECK(at(0) == doctest::Approx(0.2));  // A = floor(10.25) = 10
  CHECK(at(5) == doctest::Approx(0.1));
  CHECK(at(9) == doctest::Approx(0.02));
  CHECK(at(10) == 0);
  CHECK(at(40) == 0);
  moe.noise_anneal_frac = 0;
  CHECK(at(0) == 0);
}

TEST_CASE("annealed noise is normal, of the stated size, in training only, and leaves the clean logits alone") {
  auto config = noisy_config(core::RouterNoise::annealed);
  config.moe.noise_std = 0.5;
  const auto router = identity_router(config);
  torch::manual_seed(1);
  const auto x_TD = torch::randn({20000, 4});
  const RouterContext train{.training = true, .position = {.step = 0, .max_steps = 100}};
  const auto route = router->route(x_TD, train);
  CHECK(route.logit_TE.equal(x_TD));
  const auto noise = (route.noisy_TE - x_TD).detach().flatten();
  CHECK(noise.mean().abs().item<double>() < 5 * 0.5 / std::sqrt(80000.0));
  CHECK(noise.std().item<double>() == doctest::Approx(0.5).epsilon(0.02));
  CHECK(noise.pow(4).mean().item<double>() / std::pow(0.5, 4) == doctest::Approx(3).epsilon(0.05));  // a normal's kurtosis
  CHECK(torch::allclose(route.score_TE, route.noisy_TE.softmax(1), 0, 1e-6));
  CHECK(route.expert_TK.equal(std::get<1>(route.noisy_TE.topk(2, 1))));
  CHECK_FALSE(router->route(x_TD, {.training = false}).noisy_TE.defined());
  CHECK_FALSE(router->route(x_TD, {.training = true, .position = {.step = 25, .max_steps = 100}}).noisy_TE.defined());
}

TEST_CASE("learned noise scales with softplus of its own matrix and trains it") {
  const auto config = noisy_config(core::RouterNoise::learned);
  const auto router = identity_router(config);
  auto matrix = router->named_parameters()["noise"];
  {
    torch::NoGradGuard no_grad;
    matrix.copy_(torch::randn({4, 4}));
  }
  torch::manual_seed(2);
  const auto x_TD = torch::randn({500, 4});
  const auto route = router->route(x_TD, {.training = true});
  CHECK(torch::allclose(route.noise_std_TE, torch::log1p(torch::linear(x_TD, matrix).exp()), 1e-5, 1e-5));
  const auto unit = ((route.noisy_TE - x_TD) / route.noise_std_TE).detach();
  CHECK(unit.std().item<double>() == doctest::Approx(1).epsilon(0.1));
  route.weight_TK.square().sum().backward();
  CHECK(matrix.grad().abs().max().item<double>() > 1e-3);
  CHECK_FALSE(router->route(x_TD, {.training = false}).noise_std_TE.defined());
}

TEST_CASE("jitter multiplies the router's input by a uniform factor and not the experts'") {
  auto config = noisy_config(core::RouterNoise::jitter);
  config.moe.jitter_eps = 0.1;
  const auto router = identity_router(config);
  torch::manual_seed(3);
  const auto x_TD = torch::randn({5000, 4}), before = x_TD.clone();
  const auto route = router->route(x_TD, {.training = true});
  CHECK(x_TD.equal(before));
  const auto factor = (route.noisy_TE / x_TD).detach();
  CHECK(factor.min().item<double>() >= 0.9 - 1e-5);
  CHECK(factor.max().item<double>() <= 1.1 + 1e-5);
  CHECK(factor.mean().item<double>() == doctest::Approx(1).epsilon(0.002));
  CHECK(factor.var().item<double>() / (0.2 * 0.2 / 12) == doctest::Approx(1).epsilon(0.03));
}

TEST_CASE("the sampled policy draws experts with their softmax probabilities, and evaluation takes the likeliest") {
  auto config = routing_config(3, 1);
  config.moe.routing = core::Routing::reinforce;
  const auto router = identity_router(config);
  const auto z = torch::tensor({std::log(0.5f), std::log(0.3f), std::log(0.2f)});
  const auto x_TD = z.expand({50000, 3}).contiguous();
  const auto route = router->route(x_TD, {.training = true});
  const auto share = route.count_KE.sum(0).to(torch::kFloat64) / 50000;
  CHECK(torch::allclose(share, torch::tensor({0.5, 0.3, 0.2}, torch::kFloat64), 0, 5 * std::sqrt(0.25 / 50000)));
  CHECK(route.weight_TK.equal(torch::ones({50000, 1})));
  CHECK((router->route(x_TD, {.training = false}).expert_TK == 0).all().item<bool>());
}

}  // namespace moelab::worker::test
