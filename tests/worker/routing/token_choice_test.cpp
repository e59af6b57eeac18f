// Token choice against a plain loop over tokens and experts, on random cases with many equal scores.
#include <doctest/doctest.h>

#include <random>

#include "tests/worker/routing/route_reference.h"
#include "tests/worker/routing/routing_case.h"

namespace moelab::worker::test {
namespace {

struct RandomCase {
  core::RunConfig config;
  Rows logits;
  std::vector<float> bias;
  RouterContext context;
};

RandomCase random_case(std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const int E = below(4) == 0 ? 2 + below(63) : 2 + below(8);
  const int K = 1 + below(std::min(E, 8));
  const int T = 1 + below(40);
  RandomCase c{.config = routing_config(E, K), .logits = {}, .bias = {}, .context = {}};
  auto& moe = c.config.moe;
  moe.score_fn = below(2) ? core::ScoreFn::sigmoid : core::ScoreFn::softmax;
  moe.norm_topk_prob = static_cast<core::NormTopk>(below(3));
  if (K == 1) moe.top1_gate = static_cast<core::Top1Gate>(below(3));
  if (below(2)) moe.routed_scaling_factor = 2.5;
  if (below(2)) moe.lb_gamma = 0.01;
  if (moe.lb_gamma > 0 && below(3) == 0) moe.lb_bias_target = core::BiasTarget::logit;
  if (E % 2 == 0 && E / 2 >= K) {
    moe.n_group = 2;
    moe.topk_group = 1 + below(2);
    if (E % 6 == 0 && E / 6 * 2 >= K) moe.n_group = 6, moe.topk_group = 2 + below(5);
    if (E / moe.n_group >= 2 && moe.lb_bias_target == core::BiasTarget::score && below(2)) moe.group_score = core::GroupScore::top2sum;
  }
  if (below(2)) moe.capacity_factor = 0.25 * (1 + below(8));
  if (below(2)) moe.eval_capacity_factor = 0.25 * (1 + below(8));
  moe.drop_policy = below(2) ? core::DropPolicy::position : core::DropPolicy::score;
  moe.min_capacity = 1 + below(3);
  c.context.training = below(2);
  c.context.generating = !c.context.training && below(3) == 0;
  // Few distinct values, so that equal scores are common; steps of 1/4 stay far apart after rounding to fp32.
  for (int t = 0; t < T; ++t) {
    std::vector<float> row;
    for (int e = 0; e < E; ++e) row.push_back(0.25f * static_cast<float>(below(13) - 6));
    c.logits.push_back(row);
  }
  for (int e = 0; moe.lb_gamma > 0 && e < E; ++e) c.bias.push_back(0.125f * static_cast<float>(below(9) - 4));
  return c;
}

torch::Tensor tensor_of(const Rows& rows) {
  std::vector<float> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return torch::tensor(flat).view({static_cast<std::int64_t>(rows.size()), -1});
}

Rows rows_of(const torch::Tensor& tensor) {
  Rows rows;
  for (const auto& row : tensor.detach().unbind()) rows.emplace_back(row.data_ptr<float>(), row.data_ptr<float>() + row.numel());
  return rows;
}

}  // namespace

TEST_CASE("token choice equals a plain loop in scores, choices, weights, counts and drops") {
  std::mt19937 random(20261122);
  int drops = 0, ties = 0;
  for (int n = 0; n < 4000; ++n) {
    const auto c = random_case(random);
    CAPTURE(n);
    const auto shape = core::model_shape(c.config);
    auto router = identity_router(c.config);
    if (!c.bias.empty()) router->bias_E.copy_(torch::tensor(c.bias));
    const auto& moe = c.config.moe;
    const double factor = c.context.training ? moe.capacity_factor : c.context.generating ? 0 : moe.eval_capacity_factor;
    const auto route = router->route(tensor_of(c.logits), c.context);
    const auto expected =
        reference_route(rows_of(route.score_TE), c.logits, c.bias, moe, {shape.sigmoid_scores, shape.normalize_topk, factor});
    REQUIRE(route.logit_TE.equal(tensor_of(c.logits)));
    REQUIRE(has_type(route.weight_TK, torch::kFloat32));
    REQUIRE(route.count_KE.sizes() == torch::IntArrayRef({shape.active, shape.experts}));
    const auto score = route.score_TE.accessor<float, 2>();
    const auto expert = route.expert_TK.accessor<std::int64_t, 2>();
    const auto weight = route.weight_TK.accessor<float, 2>();
    const auto count = route.count_KE.accessor<std::int64_t, 2>();
    const auto keep_TK = route.keep_TK.defined() ? route.keep_TK : torch::ones_like(route.expert_TK, torch::kBool);
    const auto keep = keep_TK.accessor<bool, 2>();
    int wrong_scores = 0, wrong_experts = 0, wrong_weights = 0, wrong_keeps = 0, wrong_counts = 0;
    for (std::int64_t t = 0; t < route.expert_TK.size(0); ++t) {
      const auto exact = reference_scores(c.logits[t], shape.sigmoid_scores);
      for (std::int64_t e = 0; e < shape.experts; ++e) wrong_scores += !(std::abs(score[t][e] - exact[e]) < 1e-6);
      for (std::int64_t k = 0; k < shape.active; ++k) {
        wrong_experts += expert[t][k] != expected.expert[t][k];
        wrong_weights += !(std::abs(weight[t][k] - expected.weight[t][k]) < 2e-6);
        wrong_keeps += keep[t][k] != expected.keep[t][k];
        drops += !keep[t][k];
        ties += k + 1 < shape.active && score[t][expert[t][k]] == score[t][expert[t][k + 1]];
      }
    }
    for (std::int64_t k = 0; k < shape.active; ++k) {
      for (std::int64_t e = 0; e < shape.experts; ++e) wrong_counts += count[k][e] != expected.count[k][e];
    }
    REQUIRE(wrong_scores == 0);
    REQUIRE(wrong_experts == 0);
    REQUIRE(wrong_weights == 0);
    REQUIRE(wrong_keeps == 0);
    REQUIRE(wrong_counts == 0);
  }
  CHECK(drops > 10000);  // the cases do exercise what they claim to
  CHECK(ties > 10000);
}

TEST_CASE("autocast rounds the router matmul to bf16 in a bf16 run only") {
  auto config = routing_config(4, 2);
  config.moe.router_dtype = core::RouterDtype::autocast;
  torch::manual_seed(3);
  const auto x_TD = torch::randn({16, 4}), weight_ED = torch::randn({4, 4});
  const auto logits = [&](core::Precision precision) {
    config.train.precision = precision;
    const auto shape = core::model_shape(config);
    auto router = make_router({config, shape});
    torch::NoGradGuard no_grad;
    router->weight_ED.copy_(weight_ED);
    return router->route(x_TD, {}).logit_TE;
  };
  const auto exact = torch::linear(x_TD, weight_ED);
  CHECK(logits(core::Precision::fp32).equal(exact));
  const auto rounded = logits(core::Precision::bf16);
  CHECK(has_type(rounded, torch::kFloat32));
  CHECK_FALSE(rounded.equal(exact));
  CHECK(rounded.equal(torch::linear(x_TD.to(torch::kBFloat16), weight_ED.to(torch::kBFloat16)).to(torch::kFloat32)));
}

TEST_CASE("bf16 activations are routed in fp32 by default") {
  auto config = routing_config(8, 2);
  config.train.precision = core::Precision::bf16;
  const auto shape = core::model_shape(config);
  auto router = make_router({config, shape});
  torch::manual_seed(4);
  const auto x_TD = torch::randn({32, 8}).to(torch::kBFloat16);
  torch::NoGradGuard no_grad;
  router->weight_ED.copy_(torch::randn({8, 8}));
  const auto route = router->route(x_TD, {});
  CHECK(route.logit_TE.equal(torch::linear(x_TD.to(torch::kFloat32), router->weight_ED)));
}

TEST_CASE("gradients of the combine weights equal finite differences") {
  for (const bool sigmoid : {false, true}) {
    for (const std::int64_t K : {1, 3}) {
      for (const auto norm : {core::NormTopk::yes, core::NormTopk::no}) {
        CAPTURE(sigmoid);
        CAPTURE(K);
        CAPTURE(static_cast<int>(norm));
        auto config = routing_config(6, K);
        config.moe.score_fn = sigmoid ? core::ScoreFn::sigmoid : core::ScoreFn::softmax;
        config.moe.norm_topk_prob = norm;
        config.moe.routed_scaling_factor = 1.5;
        config.moe.lb_gamma = 0.01;
        const auto shape = core::model_shape(config);
        auto router = make_router({config, shape});
        router->to(torch::kFloat64);
        torch::manual_seed(11);
        const auto x_TD = torch::randn({7, 6}, torch::kFloat64), mix_TK = torch::randn({7, K}, torch::kFloat64);
        const auto start = torch::randn({6, 6}, torch::kFloat64);
        {
          torch::NoGradGuard no_grad;
          router->bias_E.copy_(torch::randn({6}, torch::kFloat64) * 0.3);
          router->weight_ED.copy_(start);
        }
        const auto loss = [&] { return (router->route(x_TD, {.training = true}).weight_TK * mix_TK).sum(); };
        loss().backward();
        const auto numeric = numeric_gradient(start, [&](const torch::Tensor& weight_ED) {
          router->weight_ED.copy_(weight_ED);
          return loss().item<double>();
        });
        CHECK(torch::allclose(router->weight_ED.grad(), numeric, 0, 1e-8));
        // A normalised single weight is 1 whatever the score, so no gradient may leak through it.
        const bool constant = K == 1 && norm == core::NormTopk::yes;
        CHECK((numeric.abs().max().item<double>() < 1e-8) == constant);
      }
    }
  }
}

TEST_CASE("K = 1 gates: value and gradient") {
  torch::manual_seed(5);
  const auto x_TD = torch::randn({9, 4}), mix_T1 = torch::randn({9, 1});
  const auto run = [&](core::Top1Gate gate, bool training) {
    auto config = routing_config(4, 1);
    config.moe.top1_gate = gate;
    auto router = identity_router(config);
    const auto route = router->route(x_TD, {.training = training});
    if (route.weight_TK.requires_grad()) (route.weight_TK * mix_T1).sum().backward();
    return std::pair{route.weight_TK.detach(), router->weight_ED.grad()};
  };
  const auto [prob, prob_grad] = run(core::Top1Gate::prob, true);
  const auto [ste, ste_grad] = run(core::Top1Gate::ste, true);
  const auto [one, one_grad] = run(core::Top1Gate::one, true);
  const auto [ste_eval, ste_eval_grad] = run(core::Top1Gate::ste, false);
  CHECK(prob.equal(std::get<0>(x_TD.softmax(1).max(1, true))));
  CHECK(ste.equal(torch::ones({9, 1})));
  CHECK(one.equal(torch::ones({9, 1})));
  CHECK(ste_eval.equal(torch::ones({9, 1})));
  REQUIRE(prob_grad.defined());
  CHECK(prob_grad.abs().max().item<float>() > 1e-3);
  CHECK(torch::allclose(ste_grad, prob_grad, 0, 1e-7));  // straight-through: the score's gradient
  CHECK_FALSE(one_grad.defined());
  CHECK_FALSE(ste_eval_grad.defined());
}

}  // namespace moelab::worker::test
