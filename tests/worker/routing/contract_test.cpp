// What every registered routing strategy promises to the model, the losses and the meters. A new line in
// core/routing_strategies.def is tested here without a change to this file.
#include <doctest/doctest.h>

#include "tests/worker/routing/routing_case.h"

namespace moelab::worker::test {
namespace {

constexpr std::int64_t kTokens = 48, kExperts = 6;

struct Variant {
  const char* name;
  std::int64_t active;
  core::MoeConfig moe;
  bool reaches_router;  // the combine weights depend on the router
};

std::vector<Variant> variants() {
  const auto with = [](auto&& change) {
    core::MoeConfig moe;
    change(moe);
    return moe;
  };
  using enum core::Top1Gate;
  return {
      {"softmax K=2", 2, with([](auto&) {}), true},
      {"softmax K=2 not normalised", 2, with([](auto& m) { m.norm_topk_prob = core::NormTopk::no; }), true},
      {"sigmoid K=3 with bias", 3, with([](auto& m) { m.lb_gamma = 0.01; }), true},
      {"softmax K=E", kExperts, with([](auto&) {}), true},
      {"K=1 prob", 1, with([](auto& m) { m.top1_gate = prob; }), true},
      {"K=1 ste", 1, with([](auto& m) { m.top1_gate = ste; }), true},
      {"K=1 one", 1, with([](auto& m) { m.top1_gate = one; }), false},
      {"capacity by score", 2, with([](auto& m) { m.capacity_factor = 1.0; }), true},
      {"capacity by position", 2, with([](auto& m) {
         m.capacity_factor = 0.5;
         m.drop_policy = core::DropPolicy::position;
       }),
       true},
  };
}

struct Subject {
  core::RunConfig config;
  core::ModelShape shape;
  std::shared_ptr<Router> router;
  torch::Tensor x_TD;
};

Subject subject(core::Routing routing, const Variant& variant) {
  Subject s;
  s.config = routing_config(kExperts, variant.active);
  s.config.model.hidden_size = 10;
  s.config.moe = variant.moe;
  s.config.moe.routing = routing;
  s.config.moe.num_experts = kExperts;
  s.config.moe.num_active_experts = variant.active;
  s.shape = core::model_shape(s.config);
  s.router = make_router(s.config, s.shape);
  torch::manual_seed(7);
  s.x_TD = torch::randn({kTokens, 10});
  torch::NoGradGuard no_grad;
  s.router->weight_ED.normal_();
  if (s.router->bias_E.defined()) s.router->bias_E.normal_(0, 0.1);
  return s;
}

template <class Check>
void for_each_subject(Check&& check) {
  for (const auto& [routing, name] : core::EnumNames<core::Routing>::values) {
    for (const auto& variant : variants()) {
      CAPTURE(name);
      CAPTURE(variant.name);
      check(subject(routing, variant), variant);
    }
  }
}

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || a.equal(b));
}

}  // namespace

TEST_CASE("contract: shapes, types, distinct experts in range, counts, weights") {
  for_each_subject([](const Subject& s, const Variant& variant) {
    const auto route = s.router->route(s.x_TD, {.training = true});
    const auto K = s.shape.active;
    REQUIRE(route.expert_TK.sizes() == torch::IntArrayRef({kTokens, K}));
    REQUIRE(route.weight_TK.sizes() == torch::IntArrayRef({kTokens, K}));
    REQUIRE(route.logit_TE.sizes() == torch::IntArrayRef({kTokens, kExperts}));
    REQUIRE(route.score_TE.sizes() == torch::IntArrayRef({kTokens, kExperts}));
    REQUIRE(route.count_KE.sizes() == torch::IntArrayRef({K, kExperts}));
    CHECK(has_type(route.expert_TK, torch::kInt64));
    CHECK(has_type(route.weight_TK, torch::kFloat32));
    CHECK(has_type(route.count_KE, torch::kInt64));
    CHECK(route.expert_TK.min().item<std::int64_t>() >= 0);
    CHECK(route.expert_TK.max().item<std::int64_t>() < kExperts);
    const auto sorted = std::get<0>(route.expert_TK.sort(1));
    CHECK((sorted.diff(1, 1) > 0).all().item<bool>());
    CHECK(route.count_KE.equal(torch::one_hot(route.expert_TK, kExperts).sum(0)));
    CHECK(route.weight_TK.isfinite().all().item<bool>());
    CHECK((route.weight_TK >= 0).all().item<bool>());
    if (s.shape.normalize_topk) CHECK(torch::allclose(route.weight_TK.sum(1), torch::ones({kTokens}), 0, 1e-6));
    CHECK(route.keep_TK.defined() == (variant.moe.capacity_factor > 0));
  });
}

TEST_CASE("contract: the gradient reaches the router where the weights depend on it, and never the bias") {
  for_each_subject([](const Subject& s, const Variant& variant) {
    const auto route = s.router->route(s.x_TD, {.training = true});
    CHECK(route.logit_TE.requires_grad());
    CHECK(route.score_TE.requires_grad());
    torch::manual_seed(8);
    REQUIRE(route.weight_TK.requires_grad() == variant.reaches_router);
    if (variant.reaches_router) {
      (route.weight_TK * torch::randn({kTokens, s.shape.active})).sum().backward();
      REQUIRE(s.router->weight_ED.grad().defined());
      CHECK(s.router->weight_ED.grad().abs().max().item<float>() > 1e-3);
    }
    if (s.router->bias_E.defined()) {
      CHECK_FALSE(s.router->bias_E.requires_grad());
      CHECK_FALSE(s.router->bias_E.grad().defined());
    }
  });
}

TEST_CASE("contract: the same router and input give the same route") {
  for_each_subject([](const Subject& s, const Variant& variant) {
    const auto twin = subject(s.config.moe.routing, variant);
    const auto a = s.router->route(s.x_TD, {.training = true}), again = s.router->route(s.x_TD, {.training = true});
    const auto b = twin.router->route(twin.x_TD, {.training = true});
    for (const auto* other : {&again, &b}) {
      CHECK(a.expert_TK.equal(other->expert_TK));
      CHECK(a.weight_TK.equal(other->weight_TK));
      CHECK(same(a.keep_TK, other->keep_TK));
    }
  });
}

TEST_CASE("contract: permuted tokens get permuted routes") {
  for_each_subject([](const Subject& s, const Variant& variant) {
    torch::manual_seed(9);
    const auto order = torch::randperm(kTokens);
    const auto a = s.router->route(s.x_TD, {.training = true});
    const auto b = s.router->route(s.x_TD.index_select(0, order), {.training = true});
    CHECK(b.expert_TK.equal(a.expert_TK.index_select(0, order)));
    CHECK(torch::allclose(b.weight_TK, a.weight_TK.index_select(0, order), 0, 1e-6));
    CHECK(b.count_KE.equal(a.count_KE));
    // First come, first served depends on the order by definition.
    const bool by_position = variant.moe.capacity_factor > 0 && variant.moe.drop_policy == core::DropPolicy::position;
    if (a.keep_TK.defined() && !by_position) CHECK(b.keep_TK.equal(a.keep_TK.index_select(0, order)));
  });
}

TEST_CASE("contract: no expert takes more than its capacity, and none is left idle while it turns tokens away") {
  for_each_subject([](const Subject& s, const Variant& variant) {
    if (variant.moe.capacity_factor == 0) return;
    const auto route = s.router->route(s.x_TD, {.training = true});
    REQUIRE(route.keep_TK.defined());
    const auto capacity = static_cast<std::int64_t>(variant.moe.capacity_factor * kTokens * s.shape.active / kExperts);
    for (std::int64_t e = 0; e < kExperts; ++e) {
      const auto asked = route.expert_TK.eq(e).sum().item<std::int64_t>();
      const auto kept = (route.expert_TK.eq(e) & route.keep_TK).sum().item<std::int64_t>();
      CHECK(kept == std::min(asked, capacity));
    }
  });
}

TEST_CASE("contract: evaluation and generation drop nothing unless asked") {
  for_each_subject([](const Subject& s, const Variant&) {
    CHECK_FALSE(s.router->route(s.x_TD, {.training = false}).keep_TK.defined());
    auto config = s.config;
    config.moe.eval_capacity_factor = 0.5;
    auto router = make_router(config, s.shape);
    CHECK(router->route(s.x_TD, {.training = false}).keep_TK.defined() == true);
    CHECK_FALSE(router->route(s.x_TD, {.training = false, .generating = true}).keep_TK.defined());
  });
}

TEST_CASE("contract: parameters and buffers carry their checkpoint names") {
  for_each_subject([](const Subject& s, const Variant& variant) {
    CHECK(s.router->named_parameters().contains("weight"));
    CHECK(s.router->named_buffers().contains("bias") == (variant.moe.lb_gamma > 0));
  });
}

}  // namespace moelab::worker::test
