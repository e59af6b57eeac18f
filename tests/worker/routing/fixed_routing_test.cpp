// Routing that learns nothing: hash tables and chance.
#include <ATen/CPUGeneratorImpl.h>
#include <doctest/doctest.h>

#include <cmath>

#include "tests/worker/routing/routing_case.h"
#include "worker/routing/hash.h"

namespace moelab::worker::test {
namespace {

bool distinct_in_rows(const torch::Tensor& table) {
  return table.size(1) == 1 || (std::get<0>(table.sort(1)).diff(1, 1) > 0).all().item<bool>();
}

core::RunConfig config_of(core::Routing routing, std::int64_t experts, std::int64_t active) {
  auto config = routing_config(experts, active);
  config.moe.routing = routing;
  return config;
}

}  // namespace

TEST_CASE("a random table gives every id K distinct experts and every expert its share of ids") {
  const auto table = random_hash_table(30000, 6, 2, at::detail::createCPUGenerator(3));
  CHECK(distinct_in_rows(table));
  const auto share = torch::bincount(table.flatten()).to(torch::kFloat64) / 60000;
  CHECK((share - 1.0 / 6).abs().max().item<double>() < 5 * std::sqrt(1.0 / 6 / 60000));
}

TEST_CASE("a balanced table deals ids out by falling frequency to the lightest experts") {
  // Worked by hand, E = 2, K = 1: id 2 (9) -> 0; id 0 (5) -> 1; id 3 (4) -> 1 (5 < 9); id 1 (1) -> 0 (9 = 9, lower index);
  // id 4 never occurs and goes where the least is: expert 1.
  const auto table = balanced_hash_table(torch::tensor({5, 1, 9, 4, 0}, torch::kInt64), 2, 1);
  CHECK(table.flatten().equal(torch::tensor({1, 0, 0, 1, 1}, torch::kInt64)));

  // Zipf's law, as text has it: no expert is more than a few percent off, K = 1 and 3.
  const auto frequency = (1e6 / torch::arange(1, 2001, torch::kFloat64)).to(torch::kInt64);
  for (const std::int64_t K : {1, 3}) {
    const auto zipf = balanced_hash_table(frequency, 8, K);
    CHECK(distinct_in_rows(zipf));
    const auto load = torch::zeros({8}, torch::kInt64).index_add_(0, zipf.flatten(), frequency.repeat_interleave(K));
    CHECK(load.max().item<double>() / (load.sum().item<double>() / 8) < 1.1);
  }
}

TEST_CASE("hash routing looks its experts up by id, in training and evaluation, and its table is in the checkpoint") {
  const auto config = config_of(core::Routing::hash, 4, 2);
  const auto shape = core::model_shape(config);
  const auto router = make_router({config, shape});
  const auto ids_T = torch::tensor({3, 1, 3, 7, 0}, torch::kInt64);
  const auto table = router->named_buffers()["table"];
  for (const bool training : {false, true}) {
    const auto route = router->route(torch::randn({5, 4}), {.training = training, .ids_T = ids_T});
    CHECK(route.expert_TK.equal(table.index_select(0, ids_T)));
    CHECK(route.weight_TK.equal(torch::full({5, 2}, 0.5f)));
  }
  CHECK_FALSE(table.equal(make_router({config, shape, 1})->named_buffers()["table"]));  // each layer has its own
}

TEST_CASE("only a balanced table follows the frequencies") {
  for (const auto mode : {core::HashMode::random, core::HashMode::balanced}) {
    auto config = config_of(core::Routing::hash, 2, 1);
    config.moe.hash_mode = mode;
    const auto shape = core::model_shape(config);
    const auto router = make_router({config, shape});
    const auto before = router->named_buffers()["table"].clone();
    const auto frequency = torch::tensor({1, 1, 1, 1, 90, 40, 30, 30}, torch::kInt64);
    router->set_token_frequency(frequency);
    const auto after = router->named_buffers()["table"];
    if (mode == core::HashMode::random) {
      CHECK(after.equal(before));
    } else {
      CHECK(after.equal(balanced_hash_table(frequency, 2, 1)));
    }
  }
}

TEST_CASE("fresh chance is uniform over experts and over pairs of them") {
  const auto config = config_of(core::Routing::random, 4, 2);
  const auto shape = core::model_shape(config);
  const auto route = make_router({config, shape})->route(torch::zeros({60000, 4}), {.training = true});
  CHECK(distinct_in_rows(route.expert_TK));
  CHECK(route.weight_TK.equal(torch::full({60000, 2}, 0.5f)));
  const auto pair =
      torch::bincount(route.expert_TK.select(1, 0) * 4 + route.expert_TK.select(1, 1), {}, 16).to(torch::kFloat64).view({4, 4});
  const auto off = (pair / 60000 - 1.0 / 12).abs().masked_fill(torch::eye(4, torch::kBool), 0);
  CHECK(pair.diagonal().sum().item<double>() == 0);
  CHECK(off.max().item<double>() < 5 * std::sqrt(1.0 / 12 / 60000));
}

TEST_CASE("fresh evaluation draws as step 0 does, whatever the step") {
  const auto config = config_of(core::Routing::random, 4, 1);
  const auto shape = core::model_shape(config);
  const auto router = make_router({config, shape});
  const auto x = torch::zeros({50, 4});
  const auto eval = router->route(x, {.training = false, .position = {.step = 17}});
  CHECK(eval.expert_TK.equal(router->route(x, {.training = true, .position = {.step = 0}}).expert_TK));
  CHECK_FALSE(eval.expert_TK.equal(router->route(x, {.training = true, .position = {.step = 17}}).expert_TK));
}

TEST_CASE("a frozen router chooses by its scores and gets no gradient") {
  auto config = config_of(core::Routing::random, 5, 2);
  config.moe.random_mode = core::RandomMode::frozen;
  const auto router = identity_router(config);
  torch::manual_seed(2);
  const auto x_TD = torch::randn({12, 5});
  const auto route = router->route(x_TD, {.training = true});
  CHECK(route.expert_TK.equal(std::get<1>(x_TD.topk(2, 1))));
  CHECK(route.weight_TK.equal(torch::full({12, 2}, 0.5f)));
  CHECK_FALSE(route.weight_TK.requires_grad());
  CHECK_FALSE(route.score_TE.requires_grad());
}

}  // namespace moelab::worker::test
