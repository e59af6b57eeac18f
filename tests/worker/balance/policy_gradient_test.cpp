// The policy-gradient loss of sampled routing, and its reward baseline.
#include "worker/balance/policy_gradient.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/worker/routing/routing_case.h"
#include "worker/balance/reward_baseline.h"

namespace moelab::worker::test {
namespace {

Route policy_route(const torch::Tensor& logit_TE, const torch::Tensor& expert_T) {
  Route route;
  route.logit_TE = logit_TE;
  route.score_TE = logit_TE.softmax(1);
  route.expert_TK = expert_T.unsqueeze(1);
  return route;
}

core::MoeConfig coefficients(double rl, double entropy) {
  core::MoeConfig moe;
  moe.rl_coeff = rl;
  moe.ent_coeff = entropy;
  return moe;
}

}  // namespace

TEST_CASE("the policy loss equals the formula, token by token, and leaves out tokens without a target") {
  torch::manual_seed(31);
  const std::int64_t T = 7, E = 3;
  const auto nll = torch::rand({T}, torch::kFloat64) * 3;
  const auto valid = torch::tensor({true, true, false, true, true, true, false});
  std::vector<Route> routes;
  for (int l = 0; l < 2; ++l) routes.push_back(policy_route(torch::randn({T, E}, torch::kFloat64), torch::randint(E, {T})));
  for (const std::optional<double> baseline : {std::optional<double>(), std::optional<double>(-0.7)}) {
    double mean = 0, square = 0;
    for (std::int64_t t = 0; t < T; ++t) {
      const double r = -nll[t].item<double>();
      if (valid[t].item<bool>()) mean += r / 5, square += r * r / 5;
    }
    const double deviation = std::sqrt(square - mean * mean);
    double policy = 0, entropy = 0;
    for (std::int64_t t = 0; t < T; ++t) {
      if (!valid[t].item<bool>()) continue;
      const double advantage = (-nll[t].item<double>() - baseline.value_or(mean)) / deviation;
      for (const auto& route : routes) {
        const auto p = route.logit_TE[t].softmax(0);
        policy -= advantage * std::log(p[route.expert_TK[t][0].item<std::int64_t>()].item<double>()) / 5;
        for (std::int64_t e = 0; e < E; ++e) entropy -= p[e].item<double>() * std::log(p[e].item<double>()) / 5 / 2;
      }
    }
    const auto loss = policy_gradient_loss(routes, nll, valid, baseline, coefficients(0.3, 0.05));
    CHECK(loss.policy.item<double>() == doctest::Approx(policy).epsilon(1e-10));
    CHECK(loss.weighted.item<double>() == doctest::Approx(0.3 * policy - 0.05 * entropy).epsilon(1e-10));
    CHECK(loss.mean_reward.item<double>() == doctest::Approx(mean).epsilon(1e-12));
  }
}

TEST_CASE("its gradient raises the probability of experts that did better than the baseline") {
  const auto logits = torch::zeros({2, 2}, torch::kFloat64).requires_grad_();
  // Token 0 chose expert 0 and did well, token 1 chose expert 0 and did badly.
  const auto route = policy_route(logits, torch::tensor({0, 0}, torch::kInt64));
  const auto nll = torch::tensor({0.5, 2.5}, torch::kFloat64);
  policy_gradient_loss({route}, nll, torch::ones({2}, torch::kBool), {}, coefficients(1, 0)).weighted.backward();
  // Advantages are +1 and -1; d(-a log p_0 / 2)/dz = -a/2 (onehot - p).
  CHECK(torch::allclose(logits.grad(), torch::tensor({{-0.25, 0.25}, {0.25, -0.25}}, torch::kFloat64)));
}

TEST_CASE("equal rewards give no gradient instead of a division by zero") {
  const auto logits = torch::randn({3, 2}, torch::kFloat64).requires_grad_();
  const auto route = policy_route(logits, torch::tensor({0, 1, 0}, torch::kInt64));
  policy_gradient_loss({route}, torch::ones({3}, torch::kFloat64), torch::ones({3}, torch::kBool), {}, coefficients(1, 0))
      .weighted.backward();
  CHECK(logits.grad().abs().max().item<double>() == 0);
}

TEST_CASE("the baseline starts at the first reward and follows with decay 0.99") {
  RewardBaseline baseline;
  CHECK_FALSE(baseline.value().has_value());
  baseline.add(-2);
  CHECK(*baseline.value() == -2);
  baseline.add(-1);
  CHECK(*baseline.value() == doctest::Approx(-1.99));
  RewardBaseline restored;
  restored.restore(baseline.value());
  restored.add(0);
  CHECK(*restored.value() == doctest::Approx(0.99 * -1.99));
}

}  // namespace moelab::worker::test
