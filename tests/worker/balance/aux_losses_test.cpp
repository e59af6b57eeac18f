#include "worker/balance/aux_losses.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/worker/routing/routing_case.h"

namespace moelab::worker::test {
namespace {

// A route whose scores and choices are given outright.
Route route_of(const torch::Tensor& logit_TE, const torch::Tensor& score_TE, const torch::Tensor& expert_TK) {
  Route route;
  route.logit_TE = logit_TE;
  route.score_TE = score_TE;
  route.expert_TK = expert_TK;
  route.count_KE = torch::one_hot(expert_TK, logit_TE.size(1)).sum(0);
  return route;
}

Route softmax_route(const torch::Tensor& score_TE, const torch::Tensor& expert_TK) {
  return route_of(score_TE.log(), score_TE, expert_TK);
}

core::ModelShape shape_of(const core::MoeConfig& moe, std::int64_t experts, std::int64_t active) {
  auto config = routing_config(experts, active);
  const auto shape = [&] {
    config.moe = moe;
    config.moe.num_experts = experts;
    config.moe.num_active_experts = active;
    return core::model_shape(config);
  };
  return shape();
}

core::MoeConfig with_penalty(double coefficient, core::LbPool pool = core::LbPool::per_layer) {
  core::MoeConfig moe;
  moe.lb_coeff = coefficient;
  moe.lb_pool = pool;
  return moe;
}

AuxLosses losses_of(const std::vector<Route>& routes, const core::MoeConfig& moe, const core::ModelShape& shape) {
  return aux_losses({.routes = routes, .moe = moe, .shape = shape});
}

double value(const torch::Tensor& scalar) {
  return scalar.item<double>();
}

}  // namespace

TEST_CASE("load-balance penalty: hand-worked values") {
  // Two experts, four tokens, K = 1: choices 0 0 0 1, so f = (3/4, 1/4); P = mean of the rows = (0.7, 0.3).
  // L = 2 * (0.75 * 0.7 + 0.25 * 0.3) = 1.2.
  const auto score_TE = torch::tensor({{.9, .1}, {.8, .2}, {.7, .3}, {.4, .6}}, torch::kFloat64);
  const auto route = softmax_route(score_TE, torch::tensor({{0}, {0}, {0}, {1}}, torch::kInt64));
  const auto moe = with_penalty(0.01);
  const auto losses = losses_of({route}, moe, shape_of(moe, 2, 1));
  CHECK(value(losses.values.at("lb_loss")) == doctest::Approx(1.2).epsilon(1e-12));
  CHECK(value(losses.weighted) == doctest::Approx(0.012).epsilon(1e-12));
}

TEST_CASE("load-balance penalty: 1 at balance for every K, E when one expert takes all, E / K at most") {
  for (const std::int64_t K : {1, 2, 4}) {
    std::vector<std::int64_t> even, first;
    for (std::int64_t t = 0; t < 8; ++t) {
      for (std::int64_t k = 0; k < K; ++k) {
        even.push_back((t + k * 2) % 8);
        first.push_back(k);
      }
    }
    const auto uniform = torch::full({8, 8}, 0.125, torch::kFloat64);
    const auto moe = with_penalty(1);
    const auto shape = shape_of(moe, 8, K);
    CHECK(value(losses_of({softmax_route(uniform, torch::tensor(even).view({8, K}))}, moe, shape).values.at("lb_loss")) ==
          doctest::Approx(1));
    auto collapsed = torch::zeros({8, 8}, torch::kFloat64);
    collapsed.narrow(1, 0, K).fill_(1.0 / static_cast<double>(K));
    const auto worst = route_of(collapsed, collapsed, torch::tensor(first).view({8, K}));
    CHECK(value(losses_of({worst}, moe, shape).values.at("lb_loss")) == doctest::Approx(8.0 / static_cast<double>(K)));
  }
}

TEST_CASE("pooling over layers: opposite imbalances cancel, per layer they add up") {
  const auto left = torch::tensor({{.8, .2}, {.8, .2}}, torch::kFloat64), right = torch::tensor({{.2, .8}, {.2, .8}}, torch::kFloat64);
  const std::vector<Route> routes{softmax_route(left, torch::tensor({{0}, {0}}, torch::kInt64)),
                                  softmax_route(right, torch::tensor({{1}, {1}}, torch::kInt64))};
  const auto loss = [&](core::LbPool pool) {
    const auto moe = with_penalty(1, pool);
    return value(losses_of(routes, moe, shape_of(moe, 2, 1)).weighted);
  };
  CHECK(loss(core::LbPool::per_layer) == doctest::Approx(2 * 0.8));               // each layer: 2 * 1 * 0.8
  CHECK(loss(core::LbPool::all_layers) == doctest::Approx(2 * (0.5 * 0.5 * 2)));  // f = P = (1/2, 1/2)
}

TEST_CASE("sigmoid scores are normalised to probabilities first") {
  // Rows (.6, .2) and (.3, .3) normalise to (.75, .25) and (.5, .5): P = (.625, .375); choices 0, 0: f = (1, 0).
  auto moe = with_penalty(1);
  moe.score_fn = core::ScoreFn::sigmoid;
  const auto score_TE = torch::tensor({{.6, .2}, {.3, .3}}, torch::kFloat64);
  const auto route = route_of(torch::logit(score_TE), score_TE, torch::tensor({{0}, {0}}, torch::kInt64));
  CHECK(value(losses_of({route}, moe, shape_of(moe, 2, 1)).values.at("lb_loss")) == doctest::Approx(2 * 0.625).epsilon(1e-12));
}

TEST_CASE("z-loss: hand-worked values, mean over tokens and layers") {
  // logsumexp of (0, 0) is ln 2; of (ln 3, 0) is ln 4.
  const double ln2 = std::log(2), ln4 = std::log(4);
  const auto a = torch::tensor({{0.0, 0.0}, {std::log(3), 0.0}}, torch::kFloat64), b = torch::zeros({2, 2}, torch::kFloat64);
  const auto choice = torch::zeros({2, 1}, torch::kInt64);
  core::MoeConfig moe;
  moe.z_loss_coeff = 0.5;
  const auto losses = losses_of({route_of(a, a.softmax(1), choice), route_of(b, b.softmax(1), choice)}, moe, shape_of(moe, 2, 1));
  const double expected = ((ln2 * ln2 + ln4 * ln4) / 2 + ln2 * ln2) / 2;
  CHECK(value(losses.values.at("z_loss")) == doctest::Approx(expected).epsilon(1e-12));
  CHECK(value(losses.weighted) == doctest::Approx(0.5 * expected).epsilon(1e-12));
}

TEST_CASE("losses equal a plain loop on random routes") {
  torch::manual_seed(21);
  for (int n = 0; n < 200; ++n) {
    const std::int64_t E = 2 + n % 9, K = 1 + n % std::min<std::int64_t>(E, 4), T = 3 + n % 11, L = 1 + n % 3;
    core::MoeConfig moe;
    moe.score_fn = n % 2 ? core::ScoreFn::sigmoid : core::ScoreFn::softmax;
    moe.lb_pool = n % 3 ? core::LbPool::per_layer : core::LbPool::all_layers;
    moe.lb_coeff = 0.3;
    moe.z_loss_coeff = 0.07;
    std::vector<Route> routes;
    std::vector<std::vector<double>> f, P;
    double z_loss = 0;
    for (std::int64_t l = 0; l < L; ++l) {
      const auto z = torch::randn({T, E}, torch::kFloat64);
      const auto s = n % 2 ? z.sigmoid() : z.softmax(1);
      routes.push_back(route_of(z, s, std::get<1>(s.topk(K, 1))));
      std::vector<double> layer_f(E, 0), layer_P(E, 0);
      for (std::int64_t t = 0; t < T; ++t) {
        double sum = 0, exp_sum = 0;
        for (std::int64_t e = 0; e < E; ++e) {
          sum += value(s[t][e]);
          exp_sum += std::exp(value(z[t][e]));
        }
        for (std::int64_t e = 0; e < E; ++e) layer_P[e] += value(s[t][e]) / sum / static_cast<double>(T);
        for (std::int64_t k = 0; k < K; ++k)
          layer_f[routes.back().expert_TK[t][k].item<std::int64_t>()] += 1.0 / static_cast<double>(T * K);
        z_loss += std::pow(std::log(exp_sum), 2) / static_cast<double>(T * L);
      }
      f.push_back(layer_f);
      P.push_back(layer_P);
    }
    double lb_loss = 0;
    for (std::int64_t e = 0; e < E; ++e) {
      double pooled_f = 0, pooled_P = 0;
      for (std::int64_t l = 0; l < L; ++l) {
        if (moe.lb_pool == core::LbPool::per_layer) lb_loss += static_cast<double>(E) * f[l][e] * P[l][e] / static_cast<double>(L);
        pooled_f += f[l][e] / static_cast<double>(L);
        pooled_P += P[l][e] / static_cast<double>(L);
      }
      if (moe.lb_pool == core::LbPool::all_layers) lb_loss += static_cast<double>(E) * pooled_f * pooled_P;
    }
    const auto losses = losses_of(routes, moe, shape_of(moe, E, K));
    CAPTURE(n);
    REQUIRE(value(losses.values.at("lb_loss")) == doctest::Approx(lb_loss).epsilon(1e-12));
    REQUIRE(value(losses.values.at("z_loss")) == doctest::Approx(z_loss).epsilon(1e-12));
    REQUIRE(value(losses.weighted) == doctest::Approx(0.3 * lb_loss + 0.07 * z_loss).epsilon(1e-12));
  }
}

TEST_CASE("the gradient equals finite differences with the counts held fixed") {
  torch::manual_seed(22);
  for (const bool sigmoid : {false, true}) {
    for (const auto pool : {core::LbPool::per_layer, core::LbPool::all_layers}) {
      auto moe = with_penalty(0.7, pool);
      moe.score_fn = sigmoid ? core::ScoreFn::sigmoid : core::ScoreFn::softmax;
      moe.z_loss_coeff = 0.2;
      const auto shape = shape_of(moe, 5, 2);
      const auto start = torch::randn({2, 6, 5}, torch::kFloat64);
      const auto choices = std::get<1>(start.topk(2, 2));
      const auto loss = [&](const torch::Tensor& z_LTE) {
        std::vector<Route> routes;
        for (std::int64_t l = 0; l < 2; ++l) {
          routes.push_back(route_of(z_LTE[l], sigmoid ? z_LTE[l].sigmoid() : z_LTE[l].softmax(1), choices[l]));
        }
        return losses_of(routes, moe, shape).weighted;
      };
      auto z_LTE = start.clone().requires_grad_();
      loss(z_LTE).backward();
      const auto numeric = numeric_gradient(start, [&](const torch::Tensor& z) { return value(loss(z)); });
      CHECK(torch::allclose(z_LTE.grad(), numeric, 0, 1e-9));
      CHECK(numeric.abs().max().item<double>() > 1e-3);
    }
  }
}

TEST_CASE("losses that are only reported carry no graph; a dense model has none") {
  core::MoeConfig moe;
  auto z_TE = torch::randn({4, 3}).requires_grad_();
  const auto losses = losses_of({route_of(z_TE, z_TE.softmax(1), torch::zeros({4, 1}, torch::kInt64))}, moe, shape_of(moe, 3, 1));
  CHECK_FALSE(losses.weighted.defined());
  CHECK(losses.values.at("lb_loss").defined());
  CHECK_FALSE(losses.values.at("lb_loss").requires_grad());
  CHECK_FALSE(losses.values.at("z_loss").requires_grad());
  const auto none = losses_of({}, moe, shape_of(moe, 3, 1));
  CHECK(none.values.empty());
  CHECK_FALSE(none.weighted.defined());
}

}  // namespace moelab::worker::test
