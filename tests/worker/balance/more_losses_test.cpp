// The sequence, group, CV and orthogonality losses against plain loops, at balance, and their gradients.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <random>
#include <set>

#include "tests/worker/routing/routing_case.h"
#include "worker/balance/cv_loss.h"
#include "worker/balance/group_balance.h"
#include "worker/balance/orthogonality.h"
#include "worker/balance/sequence_balance.h"

namespace moelab::worker::test {
namespace {

struct Case {
  core::RunConfig config;
  core::ModelShape shape;
  std::vector<Route> routes;
  std::int64_t sequences = 1;

  AuxInputs inputs() const { return {.routes = routes, .moe = config.moe, .shape = shape, .sequences = sequences}; }
};

// Sequences of random logits through a real router in double, one route a layer.
Case random_case(std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<std::int64_t>(random() % static_cast<unsigned>(n)); };
  const std::int64_t G = 1 + below(3), E = G * (1 + below(3) + (G == 1)), K = 1 + below(static_cast<int>(std::min<std::int64_t>(E, 3)));
  Case c;
  c.config = routing_config(E, K);
  auto& moe = c.config.moe;
  moe.n_group = G;
  moe.topk_group = G;
  while (moe.topk_group > 1 && (moe.topk_group - 1) * (E / G) >= K && below(2)) --moe.topk_group;
  if (below(2)) moe.score_fn = core::ScoreFn::sigmoid;
  if (below(2)) moe.lb_gamma = 0.01;
  c.shape = core::model_shape(c.config);
  c.sequences = 1 + below(3);
  const auto layers = 1 + below(3), tokens = c.sequences * (1 + below(9));
  const auto router = identity_router(c.config);
  router->to(torch::kFloat64);
  if (router->bias_E.defined()) router->bias_E.copy_(torch::randn({E}, torch::kFloat64) * 0.3);
  for (std::int64_t l = 0; l < layers; ++l) {
    c.routes.push_back(router->route(torch::randn({tokens, E}, torch::kFloat64) * 2, {.training = true}));
  }
  return c;
}

double probability(const Route& route, std::int64_t t, std::int64_t e) {
  double sum = 0;
  for (std::int64_t j = 0; j < route.score_TE.size(1); ++j) sum += route.score_TE[t][j].item<double>();
  return route.score_TE[t][e].item<double>() / sum;
}

bool names(const Route& route, std::int64_t t, std::int64_t e) {
  return route.expert_TK[t].eq(e).any().item<bool>();
}

double sequence_loss_by_loop(const Case& c) {
  double total = 0;
  const auto E = c.shape.experts, K = c.shape.active;
  for (const auto& route : c.routes) {
    const auto length = route.score_TE.size(0) / c.sequences;
    for (std::int64_t b = 0; b < c.sequences; ++b) {
      for (std::int64_t e = 0; e < E; ++e) {
        double chosen = 0, p = 0;
        for (std::int64_t t = b * length; t < (b + 1) * length; ++t) {
          std::int64_t better = 0;
          for (std::int64_t j = 0; j < E; ++j) better += route.score_TE[t][j].item<double>() > route.score_TE[t][e].item<double>();
          chosen += better < K;
          p += probability(route, t, e);
        }
        const auto L = static_cast<double>(length);
        total += static_cast<double>(E) / (static_cast<double>(K) * L) * chosen * p / L / static_cast<double>(c.sequences);
      }
    }
  }
  return total / static_cast<double>(c.routes.size());
}

double group_loss_by_loop(const Case& c, bool communication) {
  double total = 0;
  const auto E = c.shape.experts, K = c.shape.active, G = c.shape.groups, size = E / G;
  for (const auto& route : c.routes) {
    const auto T = route.score_TE.size(0);
    for (std::int64_t g = 0; g < G; ++g) {
      double p = 0, assignments = 0, sent = 0;
      for (std::int64_t t = 0; t < T; ++t) {
        bool any = false;
        for (std::int64_t e = g * size; e < (g + 1) * size; ++e) {
          p += probability(route, t, e) / static_cast<double>(T);
          assignments += names(route, t, e);
          any = any || names(route, t, e);
        }
        sent += any;
      }
      const auto tokens = static_cast<double>(T);
      const double device = static_cast<double>(E) * assignments / (static_cast<double>(K) * tokens) / static_cast<double>(size);
      const double received = static_cast<double>(G) / (static_cast<double>(c.config.moe.topk_group) * tokens) * sent;
      total += (communication ? received : device) * p;
    }
  }
  return total / static_cast<double>(c.routes.size());
}

double cv_squared(const std::vector<double>& x) {
  double mean = 0, variance = 0;
  for (const double v : x) mean += v / static_cast<double>(x.size());
  for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
  return variance / (mean * mean);
}

double importance_by_loop(const Case& c) {
  double total = 0;
  for (const auto& route : c.routes) {
    std::vector<double> importance(static_cast<std::size_t>(c.shape.experts), 0);
    for (std::int64_t t = 0; t < route.expert_TK.size(0); ++t) {
      for (std::int64_t k = 0; k < c.shape.active; ++k) {
        importance[static_cast<std::size_t>(route.expert_TK[t][k].item<std::int64_t>())] += route.weight_TK[t][k].item<double>();
      }
    }
    total += cv_squared(importance);
  }
  return total / static_cast<double>(c.routes.size());
}

Route noisy_route(const torch::Tensor& clean_TE, const torch::Tensor& std_TE, const torch::Tensor& noise_TE, std::int64_t K) {
  Route route;
  route.logit_TE = clean_TE;
  route.noise_std_TE = std_TE;
  route.noisy_TE = clean_TE + noise_TE * std_TE;
  route.score_TE = route.noisy_TE.softmax(1);
  route.expert_TK = std::get<1>(route.noisy_TE.topk(K, 1));
  route.count_KE = torch::one_hot(route.expert_TK, clean_TE.size(1)).sum(0);
  return route;
}

}  // namespace

TEST_CASE("sequence, device, communication and importance losses equal plain loops") {
  std::mt19937 random(21);
  torch::manual_seed(21);
  for (int n = 0; n < 1000; ++n) {
    CAPTURE(n);
    const auto c = random_case(random);
    if (n % 5 != 0 && c.routes.size() > 1) continue;  // the loops are slow
    REQUIRE(sequence_balance_loss(c.inputs()).item<double>() == doctest::Approx(sequence_loss_by_loop(c)).epsilon(1e-10));
    REQUIRE(device_balance_loss(c.inputs()).item<double>() == doctest::Approx(group_loss_by_loop(c, false)).epsilon(1e-10));
    REQUIRE(communication_balance_loss(c.inputs()).item<double>() == doctest::Approx(group_loss_by_loop(c, true)).epsilon(1e-10));
    REQUIRE(cv_importance_loss(c.inputs()).item<double>() == doctest::Approx(importance_by_loop(c)).epsilon(1e-10));
  }
}

TEST_CASE("at balance: 1 for the balance losses, 0 for the CVs, and all of one expert costs the stated most") {
  auto config = routing_config(6, 2);
  config.moe.n_group = 3;
  config.moe.topk_group = 1;
  const auto shape = core::model_shape(config);
  Route even;
  even.score_TE = torch::full({6, 6}, 1.0 / 6, torch::kFloat64);
  even.logit_TE = even.score_TE.log();
  even.expert_TK = torch::tensor({0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}, torch::kInt64).view({6, 2});
  even.weight_TK = torch::full({6, 2}, 0.5, torch::kFloat64);
  even.count_KE = torch::one_hot(even.expert_TK, 6).sum(0);
  const std::vector<Route> routes{even};
  const AuxInputs inputs{.routes = routes, .moe = config.moe, .shape = shape, .sequences = 1};
  CHECK(device_balance_loss(inputs).item<double>() == doctest::Approx(1));
  CHECK(communication_balance_loss(inputs).item<double>() == doctest::Approx(1));
  CHECK(cv_importance_loss(inputs).item<double>() == doctest::Approx(0));

  auto collapsed = even;
  collapsed.expert_TK = torch::tensor({0, 1}, torch::kInt64).expand({6, 2});
  collapsed.count_KE = torch::one_hot(collapsed.expert_TK, 6).sum(0);
  collapsed.score_TE = torch::tensor({0.5, 0.5, 0.0, 0.0, 0.0, 0.0}, torch::kFloat64).expand({6, 6});
  const std::vector<Route> worst{collapsed};
  const AuxInputs bad{.routes = worst, .moe = config.moe, .shape = shape, .sequences = 2};
  CHECK(sequence_balance_loss(bad).item<double>() == doctest::Approx(3));       // E / K
  CHECK(device_balance_loss(bad).item<double>() == doctest::Approx(3));         // G
  CHECK(communication_balance_loss(bad).item<double>() == doctest::Approx(3));  // G / M
  CHECK(cv_importance_loss(bad).item<double>() == doctest::Approx(2));          // (3, 3, 0, 0, 0, 0): variance 2, mean 1
}

TEST_CASE("the smoothed load is the chance that an expert stays among the K best when only its own noise is drawn anew") {
  torch::manual_seed(22);
  const std::int64_t T = 5, E = 4;
  for (const std::int64_t K : {1, 2, 3}) {
    CAPTURE(K);
    auto config = routing_config(E, K);
    config.moe.router_noise = core::RouterNoise::learned;
    const auto shape = core::model_shape(config);
    const auto clean = torch::randn({T, E}, torch::kFloat64), std_TE = torch::rand({T, E}, torch::kFloat64) + 0.5,
               noise = torch::randn({T, E}, torch::kFloat64);
    const std::vector<Route> routes{noisy_route(clean, std_TE, noise, K)};
    // By simulation of exactly that sentence.
    const std::int64_t draws = 40000;
    std::vector<double> load(E, 0);
    for (std::int64_t e = 0; e < E; ++e) {
      auto again = (clean + noise * std_TE).unsqueeze(0).repeat({draws, 1, 1});
      again.select(2, e).copy_(clean.select(1, e) + torch::randn({draws, T}, torch::kFloat64) * std_TE.select(1, e));
      const auto in = std::get<1>(again.topk(K, 2)).eq(e).any(2);
      load[static_cast<std::size_t>(e)] = in.to(torch::kFloat64).mean(0).sum().item<double>();
    }
    const auto loss = cv_load_loss({.routes = routes, .moe = config.moe, .shape = shape}).item<double>();
    CHECK(loss / cv_squared(load) == doctest::Approx(1).epsilon(0.03));
  }
}

TEST_CASE("the orthogonality loss: zero for orthonormal rows, a worked value, and the mean over layers") {
  const auto config = routing_config(2, 1);
  const auto shape = core::model_shape(config);
  const std::vector<Route> none;
  const auto eye = torch::eye(2, 3, torch::kFloat64);
  const auto skew = torch::tensor({{1.0, 1.0, 0.0}, {1.0, 0.0, 2.0}}, torch::kFloat64);  // W W^T = (2 1; 1 5), minus I: 1 + 1 + 1 + 4
  const auto loss = [&](std::vector<torch::Tensor> routers) {
    return orthogonality_loss({.routes = none, .moe = config.moe, .shape = shape, .sequences = 1, .routers = std::move(routers)})
        .item<double>();
  };
  CHECK(loss({eye}) == 0);
  CHECK(loss({skew}) == doctest::Approx(7));
  CHECK(loss({eye, skew}) == doctest::Approx(3.5));
}

TEST_CASE("gradients of every loss equal finite differences") {
  torch::manual_seed(23);
  auto config = routing_config(6, 2);
  config.moe.n_group = 3;
  config.moe.topk_group = 2;
  config.moe.router_noise = core::RouterNoise::learned;
  const auto shape = core::model_shape(config);
  const auto noise = torch::randn({8, 6}, torch::kFloat64);
  const auto start = torch::randn({8, 6}, torch::kFloat64);
  const std::function<torch::Tensor(const AuxInputs&)> losses[] = {sequence_balance_loss, device_balance_loss, communication_balance_loss,
                                                                   cv_importance_loss,    cv_load_loss,        orthogonality_loss};
  for (std::size_t i = 0; i < std::size(losses); ++i) {
    CAPTURE(i);
    const auto value = [&](const torch::Tensor& z_TE) {
      auto route = noisy_route(z_TE, torch::softplus(0.3 * z_TE), noise, 2);
      route.weight_TK = route.score_TE.gather(1, route.expert_TK);
      const std::vector<Route> routes{route};
      return losses[i]({.routes = routes, .moe = config.moe, .shape = shape, .sequences = 2, .routers = {z_TE}});
    };
    const auto z_TE = start.clone().requires_grad_();
    value(z_TE).backward();
    const auto numeric = numeric_gradient(start, [&](const torch::Tensor& z) { return value(z).item<double>(); });
    CHECK(z_TE.grad().abs().max().item<double>() > 1e-4);
    CHECK(torch::allclose(z_TE.grad(), numeric, 1e-5, 1e-7));
  }
}

}  // namespace moelab::worker::test
