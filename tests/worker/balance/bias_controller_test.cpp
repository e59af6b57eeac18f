#include "worker/balance/bias_controller.h"

#include <doctest/doctest.h>

#include "core/error.h"

namespace moelab::worker {
namespace {

// A route with given counts [K, E]; the controller reads nothing else.
Route counts(std::initializer_list<std::initializer_list<std::int64_t>> rows) {
  std::vector<std::int64_t> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row);
  Route route;
  route.count_KE = torch::tensor(flat).view({static_cast<std::int64_t>(rows.size()), -1});
  return route;
}

core::MoeConfig rule(core::BiasRule bias_rule, double gamma, std::int64_t interval = 1) {
  core::MoeConfig moe;
  moe.lb_gamma = gamma;
  moe.lb_bias_rule = bias_rule;
  moe.lb_bias_interval = interval;
  return moe;
}

bool near(const torch::Tensor& bias_E, const std::vector<double>& expected) {
  return torch::allclose(bias_E.to(torch::kFloat64), torch::tensor(expected, torch::kFloat64), 0, 1e-8);
}

}  // namespace

TEST_CASE("proportional rule: a hand-worked table") {
  // b -= gamma * (E * f - 1), gamma = 0.1, E = 4.
  //   counts        f                  E f - 1         b after
  //   8 4 4 0       1/2 1/4 1/4 0      1 0 0 -1        -.1   0    0    .1
  //   1 1 1 1       1/4 ...            0 0 0 0         -.1   0    0    .1
  //   0 0 6 2       0 0 3/4 1/4        -1 -1 2 0        0    .1  -.2   .1
  auto bias = torch::zeros({4});
  BiasController controller(rule(core::BiasRule::proportional, 0.1), {bias});
  controller.add({counts({{8, 4, 4, 0}})});
  controller.step();
  CHECK(near(bias, {-.1, 0, 0, .1}));
  controller.add({counts({{1, 1, 1, 1}})});
  controller.step();
  CHECK(near(bias, {-.1, 0, 0, .1}));
  controller.add({counts({{0, 0, 6, 2}})});
  controller.step();
  CHECK(near(bias, {0, .1, -.2, .1}));
  CHECK(controller.bias_abs_sum() == doctest::Approx(0.4).epsilon(1e-6));
}

TEST_CASE("sign rule: a hand-worked table") {
  // b -= gamma * sign(c - mean c), gamma = 0.001; the mean of 8 4 4 0 is 4, of 0 0 6 2 is 2.
  auto bias = torch::zeros({4});
  BiasController controller(rule(core::BiasRule::sign, 0.001), {bias});
  controller.add({counts({{8, 4, 4, 0}})});
  controller.step();
  CHECK(near(bias, {-.001, 0, 0, .001}));
  controller.add({counts({{0, 0, 6, 2}})});
  controller.step();
  CHECK(near(bias, {0, .001, -.001, .001}));
}

TEST_CASE("slots, micro-batches and the steps of an interval are summed; layers stay apart") {
  auto first = torch::zeros({2}), second = torch::zeros({2});
  BiasController controller(rule(core::BiasRule::proportional, 1.0, /*interval=*/2), {first, second});
  controller.add({counts({{3, 0}, {1, 2}}), counts({{0, 3}, {3, 0}})});  // layer 0: 4 2, layer 1: 3 3
  controller.add({counts({{2, 0}, {0, 0}}), counts({{0, 0}, {0, 2}})});  // layer 0: 6 2, layer 1: 3 5
  controller.step();
  CHECK(near(first, {0, 0}));  // the interval is not over
  CHECK(controller.calls() == 1);
  CHECK(controller.counts_LE().equal(torch::tensor({{6, 2}, {3, 5}}, torch::kInt64)));
  controller.step();
  CHECK(near(first, {-.5, .5}));     // f = 3/4: 2 * 3/4 - 1 = 1/2
  CHECK(near(second, {.25, -.25}));  // f = 3/8: 2 * 3/8 - 1 = -1/4
  CHECK(controller.calls() == 0);
  CHECK(controller.counts_LE().eq(0).all().item<bool>());
}

TEST_CASE("an interval without assignments moves nothing") {
  for (const auto bias_rule : {core::BiasRule::proportional, core::BiasRule::sign}) {
    auto bias = torch::full({3}, 0.5f);
    BiasController controller(rule(bias_rule, 0.1), {bias});
    controller.step();
    CHECK(bias.eq(0.5f).all().item<bool>());
  }
}

TEST_CASE("a restored controller goes on as if never interrupted") {
  auto whole = torch::zeros({3}), resumed = torch::zeros({3});
  const auto moe = rule(core::BiasRule::proportional, 0.3, /*interval=*/3);
  BiasController a(moe, {whole});
  a.add({counts({{5, 1, 0}})});
  a.step();
  a.add({counts({{0, 2, 2}})});
  BiasController b(moe, {resumed});
  b.restore(a.counts_LE().clone(), a.calls());
  for (auto* controller : {&a, &b}) {
    controller->step();
    controller->add({counts({{0, 0, 7}})});
    controller->step();
  }
  CHECK(whole.ne(0).any().item<bool>());
  CHECK(whole.equal(resumed));
}

TEST_CASE("a state of another shape is refused") {
  auto bias = torch::zeros({3});
  BiasController controller(rule(core::BiasRule::proportional, 0.1), {bias});
  CHECK_THROWS_AS(controller.restore(torch::zeros({1, 4}, torch::kInt64), 0), core::Error);
  CHECK_THROWS_AS(controller.restore(torch::zeros({1, 3}), 0), core::Error);
  CHECK_THROWS_AS(controller.restore(torch::Tensor(), 0), core::Error);
}

TEST_CASE("without bias control there is nothing to do") {
  BiasController controller(core::MoeConfig{}, {});
  controller.add({counts({{1, 2}})});
  controller.step();
  controller.restore(torch::Tensor(), 0);
  CHECK(controller.bias_abs_sum() == 0);
  CHECK_FALSE(controller.counts_LE().defined());
}

TEST_CASE("both rules balance a skewed router") {
  // Tokens choose the best of score + bias; the scores favour expert 0. Balance within 20% after 400 updates.
  for (const auto bias_rule : {core::BiasRule::proportional, core::BiasRule::sign}) {
    torch::manual_seed(31);
    auto bias = torch::zeros({8});
    BiasController controller(rule(bias_rule, bias_rule == core::BiasRule::sign ? 0.001 : 0.01), {bias});
    const auto skew = torch::linspace(1, 0, 8);
    double max_violation = 0;
    for (int step = 0; step < 400; ++step) {
      const auto selection = (torch::randn({2048, 8}) + skew).sigmoid() + bias;
      Route route;
      route.count_KE = torch::bincount(selection.argmax(1), {}, 8).view({1, 8});
      max_violation = route.count_KE.max().item<double>() / 256 - 1;
      controller.add({route});
      controller.step();
    }
    CHECK(max_violation < 0.2);
  }
}

}  // namespace moelab::worker
