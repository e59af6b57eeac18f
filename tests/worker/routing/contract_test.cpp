// What every registered routing strategy promises to the model, the losses and the meters. A new line in
// core/routing_strategies.def is tested here without a change to this file: each strategy meets every variant that
// check_config lets it be combined with.
#include <doctest/doctest.h>

#include <set>

#include "core/config_check.h"
#include "tests/worker/routing/routing_case.h"

namespace moelab::worker::test {
namespace {

constexpr std::int64_t kTokens = 48, kSequences = 4, kExperts = 6;

struct Variant {
  const char* name;
  std::int64_t active;
  core::MoeConfig moe;
};

std::vector<Variant> variants() {
  const auto with = [](auto&& change) {
    core::MoeConfig moe;
    change(moe);
    return moe;
  };
  return {
      {"K=2", 2, with([](auto&) {})},
      {"K=1", 1, with([](auto&) {})},
      {"K=E", kExperts, with([](auto&) {})},
      {"K=2 not normalised", 2, with([](auto& m) { m.norm_topk_prob = core::NormTopk::no; })},
      {"sigmoid K=3 with bias", 3, with([](auto& m) { m.lb_gamma = 0.01; })},
      {"bias on logits", 2, with([](auto& m) {
         m.lb_gamma = 0.01;
         m.lb_bias_target = core::BiasTarget::logit;
       })},
      {"K=1 ste", 1, with([](auto& m) { m.top1_gate = core::Top1Gate::ste; })},
      {"K=1 one", 1, with([](auto& m) { m.top1_gate = core::Top1Gate::one; })},
      {"2 of 3 groups", 2, with([](auto& m) {
         m.n_group = 3;
         m.topk_group = 2;
         m.group_score = core::GroupScore::top2sum;
       })},
      {"annealed noise", 2, with([](auto& m) { m.router_noise = core::RouterNoise::annealed; })},
      {"learned noise", 2, with([](auto& m) { m.router_noise = core::RouterNoise::learned; })},
      {"jitter", 2, with([](auto& m) { m.router_noise = core::RouterNoise::jitter; })},
      {"capacity by score", 2, with([](auto& m) { m.capacity_factor = 1.0; })},
      {"capacity by position", 2, with([](auto& m) {
         m.capacity_factor = 0.5;
         m.drop_policy = core::DropPolicy::position;
       })},
      {"K=1 with capacity", 1, with([](auto& m) { m.capacity_factor = 0.75; })},
      {"experts choose within sequences", 2, with([](auto& m) { m.ec_scope = core::ChoiceScope::sequence; })},
      {"balanced table", 2, with([](auto& m) { m.hash_mode = core::HashMode::balanced; })},
      {"frozen router", 2, with([](auto& m) { m.random_mode = core::RandomMode::frozen; })},
  };
}

struct Subject {
  core::RunConfig config;
  core::ModelShape shape;
  std::shared_ptr<Router> router;
  torch::Tensor x_TD;
  RouterContext train, eval;

  core::Routing routing() const { return config.moe.routing; }
  bool noisy() const {
    return config.moe.router_noise != core::RouterNoise::none || routing() == core::Routing::reinforce || draws_fresh();
  }
  bool draws_fresh() const { return routing() == core::Routing::random && config.moe.random_mode == core::RandomMode::fresh; }
  // The combine weights depend on the router.
  bool reaches_router() const {
    const std::set<core::Routing> constant{core::Routing::hash, core::Routing::random, core::Routing::reinforce};
    return !constant.contains(routing()) && config.moe.top1_gate != core::Top1Gate::one;
  }
  bool weights_sum_to_1() const {
    return (routing() == core::Routing::token_choice && (shape.normalize_topk || config.moe.top1_gate != core::Top1Gate::prob)) ||
           (!reaches_router());
  }
};

Subject subject(const core::RunConfig& config) {
  Subject s;
  s.config = config;
  s.shape = core::model_shape(config);
  s.router = make_router({s.config, s.shape});
  torch::manual_seed(7);
  s.x_TD = torch::randn({kTokens, config.model.hidden_size});
  s.train = {.training = true, .sequences = kSequences, .ids_T = torch::randint(config.model.vocab_size, {kTokens})};
  s.train.position = {.step = 3, .max_steps = 100, .micro_batch = 1};
  s.eval = {.training = false, .sequences = kSequences, .ids_T = s.train.ids_T};
  torch::NoGradGuard no_grad;
  for (auto& parameter : s.router->parameters()) parameter.normal_();
  if (s.router->bias_E.defined()) s.router->bias_E.normal_(0, 0.1);
  return s;
}

// Visits every valid pair of strategy and variant, and requires that no strategy is left without one.
template <class Check>
void for_each_subject(Check&& check) {
  for (const auto& [routing, name] : core::EnumNames<core::Routing>::values) {
    int met = 0;
    for (const auto& variant : variants()) {
      auto config = routing_config(kExperts, variant.active);
      config.model.hidden_size = 10;
      config.data.path = {"text"};
      config.model.bos_token_id = 1;
      config.moe = variant.moe;
      config.moe.routing = routing;
      config.moe.num_experts = kExperts;
      config.moe.num_active_experts = variant.active;
      if (!core::check_config(config).empty()) continue;
      CAPTURE(name);
      CAPTURE(variant.name);
      check(subject(config));
      ++met;
    }
    CAPTURE(name);
    REQUIRE(met > 0);
  }
}

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || a.equal(b));
}

// Assignments that count, as a matrix [T, E] of combine weights before drops, whatever the slots are.
torch::Tensor weight_matrix(const Route& route, bool after_drops) {
  auto weight_TK = route.weight_TK.detach();
  const bool slots_are_experts = route.expert_TK.size(1) != route.count_KE.size(0);
  if (route.keep_TK.defined() && (after_drops || slots_are_experts)) weight_TK = weight_TK * route.keep_TK;
  return torch::zeros({route.expert_TK.size(0), kExperts}).scatter_add_(1, route.expert_TK, weight_TK);
}

void check_shapes(const Subject& s, const Route& route) {
  const auto slots = route.expert_TK.size(1);
  REQUIRE(route.expert_TK.sizes() == torch::IntArrayRef({kTokens, slots}));
  REQUIRE(route.weight_TK.sizes() == torch::IntArrayRef({kTokens, slots}));
  REQUIRE(route.logit_TE.defined() == route.score_TE.defined());
  REQUIRE(route.logit_TE.defined() == s.router->weight_ED.defined());
  if (route.logit_TE.defined()) {
    REQUIRE(route.logit_TE.sizes() == torch::IntArrayRef({kTokens, kExperts}));
    REQUIRE(route.score_TE.sizes() == torch::IntArrayRef({kTokens, kExperts}));
    CHECK(route.clean_softmax == torch::allclose(route.score_TE, route.logit_TE.softmax(1), 0, 1e-6));
  }
  CHECK(has_type(route.expert_TK, torch::kInt64));
  CHECK(has_type(route.weight_TK, torch::kFloat32));
  CHECK(has_type(route.count_KE, torch::kInt64));
  CHECK(route.expert_TK.min().item<std::int64_t>() >= 0);
  CHECK(route.expert_TK.max().item<std::int64_t>() < kExperts);
  CHECK((std::get<0>(route.expert_TK.sort(1)).diff(1, 1) > 0).all().item<bool>());
  CHECK(route.weight_TK.isfinite().all().item<bool>());
  CHECK((route.weight_TK >= 0).all().item<bool>());
  auto counted = torch::one_hot(route.expert_TK, kExperts);
  if (slots == route.count_KE.size(0)) {
    CHECK(route.count_KE.equal(counted.sum(0)));
  } else {  // experts choose: slots are experts, and what is not kept was never an assignment
    REQUIRE(slots == kExperts);
    CHECK(route.count_KE.equal((counted * route.keep_TK.unsqueeze(2)).sum(at::IntArrayRef({0, 1})).unsqueeze(0)));
    CHECK_FALSE(route.dropped.defined());
  }
}

}  // namespace

TEST_CASE("contract: shapes, types, distinct experts in range, counts, weights") {
  for_each_subject([](const Subject& s) {
    for (const auto& context : {s.train, s.eval}) {
      const auto route = s.router->route(s.x_TD, context);
      check_shapes(s, route);
      if (s.weights_sum_to_1()) CHECK(torch::allclose(route.weight_TK.sum(1), torch::ones({kTokens}), 0, 1e-6));
    }
    const auto eval = s.router->route(s.x_TD, s.eval);
    CHECK(eval.expert_TK.size(1) == s.shape.active);
  });
}

TEST_CASE("contract: the gradient reaches the router where the weights depend on it, and never the bias") {
  for_each_subject([](const Subject& s) {
    const auto route = s.router->route(s.x_TD, s.train);
    torch::manual_seed(8);
    REQUIRE(route.weight_TK.requires_grad() == s.reaches_router());
    if (s.reaches_router()) {
      (route.weight_TK * torch::randn(route.weight_TK.sizes())).sum().backward();
      for (const auto& parameter : s.router->named_parameters()) {
        CAPTURE(parameter.key());
        REQUIRE(parameter.value().grad().defined());
        CHECK(parameter.value().grad().abs().max().item<float>() > 1e-3);
      }
    }
    if (s.router->bias_E.defined()) {
      CHECK_FALSE(s.router->bias_E.requires_grad());
      CHECK_FALSE(s.router->bias_E.grad().defined());
    }
  });
}

TEST_CASE("contract: no gradient of a frozen, hashed or sampled route reaches the input") {
  for_each_subject([](const Subject& s) {
    if (s.reaches_router()) return;
    const auto x_TD = s.x_TD.clone().requires_grad_();
    const auto route = s.router->route(x_TD, s.train);
    CHECK_FALSE(route.weight_TK.requires_grad());
    if (s.routing() != core::Routing::reinforce) return;
    route.score_TE.square().sum().backward();
    CHECK_FALSE(x_TD.grad().defined());
    CHECK(s.router->weight_ED.grad().defined());
  });
}

TEST_CASE("contract: the same router, input and position give the same route") {
  for_each_subject([](const Subject& s) {
    const auto twin = subject(s.config);
    for (const auto& [ours, theirs] : {std::pair{s.train, twin.train}, {s.eval, twin.eval}}) {
      const auto a = s.router->route(s.x_TD, ours), again = s.router->route(s.x_TD, ours);
      const auto b = twin.router->route(twin.x_TD, theirs);
      for (const auto* other : {&again, &b}) {
        CHECK(a.expert_TK.equal(other->expert_TK));
        CHECK(a.weight_TK.equal(other->weight_TK));
        CHECK(same(a.keep_TK, other->keep_TK));
      }
    }
  });
}

TEST_CASE("contract: chance depends on the step, the micro-batch and the layer in training, and evaluation knows none of them") {
  for_each_subject([](const Subject& s) {
    auto next_step = s.train, next_micro = s.train, eval_later = s.eval;
    next_step.position.step += 1;
    next_micro.position.micro_batch += 1;
    eval_later.position.step = 9;
    const auto other_layer = make_router({s.config, s.shape, 1});
    {
      torch::NoGradGuard no_grad;
      for (const auto& parameter : s.router->named_parameters()) other_layer->named_parameters()[parameter.key()].copy_(parameter.value());
      if (s.router->bias_E.defined()) other_layer->bias_E.copy_(s.router->bias_E);
    }
    const auto here = s.router->route(s.x_TD, s.train);
    const auto differs = [&](const Route& route) { return !weight_matrix(route, false).equal(weight_matrix(here, false)); };
    CHECK(differs(s.router->route(s.x_TD, next_step)) == (s.noisy() && s.shape.active < kExperts));
    CHECK(differs(s.router->route(s.x_TD, next_micro)) == (s.noisy() && s.shape.active < kExperts));
    const bool random_table = s.routing() == core::Routing::hash && s.config.moe.hash_mode == core::HashMode::random;
    CHECK(differs(other_layer->route(s.x_TD, s.train)) == ((s.noisy() || random_table) && s.shape.active < kExperts));
    CHECK(s.router->route(s.x_TD, s.eval).expert_TK.equal(s.router->route(s.x_TD, eval_later).expert_TK));
  });
}

TEST_CASE("contract: permuted tokens get permuted routes") {
  for_each_subject([](const Subject& s) {
    torch::manual_seed(9);
    const auto order = torch::randperm(kTokens);
    for (auto context : {s.train, s.eval}) {
      // Draws are made in token order, sequences are made of neighbours, and first come, first served depends on the order.
      if (s.draws_fresh() || (context.training && s.noisy())) continue;
      if (context.training && s.config.moe.ec_scope == core::ChoiceScope::sequence) continue;
      const auto a = s.router->route(s.x_TD, context);
      context.ids_T = context.ids_T.index_select(0, order);
      const auto b = s.router->route(s.x_TD.index_select(0, order), context);
      CHECK(torch::allclose(weight_matrix(b, false), weight_matrix(a, false).index_select(0, order), 0, 1e-6));
      CHECK(b.count_KE.equal(a.count_KE));
      // Where every score is equal (a table has none) the order of tokens decides too.
      const bool by_order = s.config.moe.drop_policy == core::DropPolicy::position || s.routing() == core::Routing::hash;
      if (!by_order) CHECK(torch::allclose(weight_matrix(b, true), weight_matrix(a, true).index_select(0, order), 0, 1e-6));
    }
  });
}

TEST_CASE("contract: no expert takes more than its capacity, and none is left idle while it turns tokens away") {
  for_each_subject([](const Subject& s) {
    if (s.config.moe.capacity_factor == 0) return;
    const auto route = s.router->route(s.x_TD, s.train);
    REQUIRE(route.keep_TK.defined());
    const auto capacity = static_cast<std::int64_t>(s.config.moe.capacity_factor * kTokens * s.shape.active / kExperts);
    std::int64_t dropped = 0;
    for (std::int64_t e = 0; e < kExperts; ++e) {
      const auto asked = route.expert_TK.eq(e).sum().item<std::int64_t>();
      const auto kept = (route.expert_TK.eq(e) & route.keep_TK).sum().item<std::int64_t>();
      CHECK(kept == std::min(asked, capacity));
      dropped += asked - kept;
    }
    CHECK(route.dropped.item<std::int64_t>() == dropped);
  });
}

TEST_CASE("contract: evaluation and generation drop nothing unless asked") {
  for_each_subject([](const Subject& s) {
    CHECK_FALSE(s.router->route(s.x_TD, s.eval).keep_TK.defined());
    auto config = s.config;
    config.moe.eval_capacity_factor = 0.5;
    if (!core::check_config(config).empty()) return;
    auto router = make_router({config, s.shape});
    CHECK(router->route(s.x_TD, s.eval).keep_TK.defined() == true);
    auto generating = s.eval;
    generating.generating = true;
    CHECK_FALSE(router->route(s.x_TD, generating).keep_TK.defined());
  });
}

TEST_CASE("contract: parameters and buffers carry their checkpoint names") {
  for_each_subject([](const Subject& s) {
    CHECK(s.router->named_parameters().contains("weight") == s.shape.learned_router);
    CHECK(s.router->named_parameters().contains("noise") == s.shape.router_noise_matrix);
    CHECK(s.router->named_buffers().contains("bias") == (s.config.moe.lb_gamma > 0));
    CHECK(s.router->named_buffers().contains("table") == (s.routing() == core::Routing::hash));
  });
}

}  // namespace moelab::worker::test
