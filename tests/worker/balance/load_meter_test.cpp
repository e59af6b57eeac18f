#include "worker/balance/load_meter.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "core/metric_catalog.h"
#include "tests/worker/routing/routing_case.h"

namespace moelab::worker::test {
namespace {

// Block 0 is dense, blocks 1 and 3 are MoE with four experts.
core::ModelShape two_layer_shape(std::int64_t active, bool sigmoid = false) {
  auto config = routing_config(4, active);
  config.model.num_hidden_layers = 4;
  config.moe.moe_stride = 2;
  config.moe.moe_offset = 1;
  config.moe.score_fn = sigmoid ? core::ScoreFn::sigmoid : core::ScoreFn::softmax;
  return core::model_shape(config);
}

Route route_of(const torch::Tensor& logit_TE, const torch::Tensor& expert_TK, bool sigmoid = false) {
  Route route;
  route.logit_TE = logit_TE;
  route.score_TE = sigmoid ? logit_TE.sigmoid() : logit_TE.softmax(1);
  route.expert_TK = expert_TK;
  route.count_KE = torch::one_hot(expert_TK, logit_TE.size(1)).sum(0);
  return route;
}

torch::Tensor column(std::initializer_list<std::int64_t> experts) {
  return torch::tensor(std::vector<std::int64_t>(experts)).view({-1, 1});
}

double at(const std::map<std::string, double>& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  REQUIRE_MESSAGE(found != metrics.end(), name);
  return found->second;
}

}  // namespace

TEST_CASE("hand-worked values of one layer and their mean with a second") {
  const auto shape = two_layer_shape(1);
  LoadMeter meter(shape);
  CHECK(meter.empty());
  CHECK(meter.metrics().empty());
  // Layer 1: all logits 0, choices 0 0 1 2, counts 2 1 1 0. Layer 3: logits (ln 3, 0, 0, 0), choices 0 0 0 0.
  const auto flat = torch::zeros({4, 4});
  auto peaked = torch::zeros({4, 4});
  peaked.select(1, 0).fill_(std::log(3.0));
  meter.add({route_of(flat, column({0, 0, 1, 2})), route_of(peaked, column({0, 0, 0, 0}))});
  CHECK_FALSE(meter.empty());
  CHECK(meter.counts_LKE().equal(torch::tensor({2, 1, 1, 0, 4, 0, 0, 0}, torch::kInt64).view({2, 1, 4})));
  const auto m = meter.metrics();
  const auto approx = [](double x) { return doctest::Approx(x).epsilon(1e-6); };
  const double ln4 = std::log(4);
  // f = (.5, .25, .25, 0): deviations .25, 0, 0, -.25; sum of squares .125.
  CHECK(at(m, "router/layer_1_maxvio") == approx(1.0));
  CHECK(at(m, "router/layer_1_cv") == approx(std::sqrt(.125 / 4) * 4));
  CHECK(at(m, "router/layer_1_util_std") == approx(std::sqrt(.125 / 3)));
  CHECK(at(m, "router/layer_1_dead") == 1);
  CHECK(at(m, "router/layer_1_entropy_per_token") == approx(ln4));
  CHECK(at(m, "router/layer_1_entropy_distribution") == approx(ln4));
  CHECK(at(m, "router/layer_1_logit_rms") == 0);
  CHECK(at(m, "router/layer_1_logit_max") == 0);
  CHECK(at(m, "router/layer_1_zloss") == approx(ln4 * ln4));
  // p = (1/2, 1/6, 1/6, 1/6): entropy = ln 2 / 2 + ln 6 / 2; logsumexp = ln 6.
  const double entropy = std::log(2) / 2 + std::log(6) / 2;
  CHECK(at(m, "router/layer_3_maxvio") == approx(3.0));
  CHECK(at(m, "router/layer_3_cv") == approx(std::sqrt(3.0)));
  CHECK(at(m, "router/layer_3_dead") == 3);
  CHECK(at(m, "router/layer_3_entropy_per_token") == approx(entropy));
  CHECK(at(m, "router/layer_3_entropy_distribution") == approx(entropy));
  CHECK(at(m, "router/layer_3_logit_rms") == approx(std::log(3) / 2));
  CHECK(at(m, "router/layer_3_logit_max") == approx(std::log(3)));
  CHECK(at(m, "router/layer_3_zloss") == approx(std::log(6) * std::log(6)));
  CHECK(at(m, "router/maxvio") == approx(2.0));
  CHECK(at(m, "router/dead") == 2);
  CHECK(at(m, "router/entropy_per_token") == approx((ln4 + entropy) / 2));
  CHECK(at(m, "router/entropy_distribution_normalized") == approx((ln4 + entropy) / 2 / ln4));
  CHECK(at(m, "train/moe/load/e000") == approx(.75));
  CHECK(at(m, "train/moe/load/e001") == approx(.125));
  CHECK(at(m, "train/moe/load/e002") == approx(.125));
  CHECK(at(m, "train/moe/load/e003") == 0);
  CHECK(at(m, "train/token_drop_count") == 0);
  CHECK(at(m, "train/token_drop_ratio") == 0);
}

TEST_CASE("entropy of the mean distribution exceeds the mean entropy when tokens disagree") {
  LoadMeter meter(two_layer_shape(1));
  const auto sharp = torch::eye(4) * 20;  // each token sure of another expert
  meter.add({route_of(sharp, column({0, 1, 2, 3})), route_of(-sharp, column({1, 2, 3, 0}))});
  const auto m = meter.metrics();
  CHECK(at(m, "router/layer_1_entropy_per_token") < 1e-5);
  CHECK(at(m, "router/layer_1_entropy_distribution") == doctest::Approx(std::log(4)).epsilon(1e-6));
  CHECK(at(m, "router/layer_3_logit_max") == doctest::Approx(20));  // the largest absolute logit
}

TEST_CASE("micro-batches add up to the same values as one batch; drops are counted") {
  torch::manual_seed(41);
  const auto shape = two_layer_shape(2);
  const auto logits_LTE = torch::randn({2, 30, 4}) * 2;
  const auto choices_LTK = std::get<1>(logits_LTE.topk(2, 2));
  const auto keep_LTK = torch::rand({2, 30, 2}) > 0.2;
  const auto routes = [&](std::int64_t from, std::int64_t to) {
    std::vector<Route> out;
    for (std::int64_t l = 0; l < 2; ++l) {
      out.push_back(route_of(logits_LTE[l].slice(0, from, to), choices_LTK[l].slice(0, from, to)));
      out.back().keep_TK = keep_LTK[l].slice(0, from, to);
      out.back().dropped = out.back().keep_TK.logical_not().sum();
    }
    return out;
  };
  LoadMeter whole(shape), parts(shape);
  whole.add(routes(0, 30));
  parts.add(routes(0, 7));
  parts.add(routes(7, 20));
  parts.add(routes(20, 30));
  const auto a = whole.metrics(), b = parts.metrics();
  REQUIRE(a.size() == b.size());
  for (const auto& [name, value] : a) {
    CAPTURE(name);
    CHECK(at(b, name) == doctest::Approx(value).epsilon(1e-5));
  }
  CHECK(whole.counts_LKE().equal(parts.counts_LKE()));
  const auto dropped = keep_LTK.logical_not().sum().item<double>();
  CHECK(dropped > 0);
  CHECK(at(a, "train/token_drop_count") == dropped);
  CHECK(at(a, "train/token_drop_ratio") == doctest::Approx(dropped / 120));
  double total = 0;
  for (int e = 0; e < 4; ++e) total += at(a, "train/moe/load/e00" + std::to_string(e));
  CHECK(total == doctest::Approx(1));
}

TEST_CASE("values equal a plain loop on random routes, softmax and sigmoid") {
  torch::manual_seed(42);
  for (const bool sigmoid : {false, true}) {
    LoadMeter meter(two_layer_shape(2, sigmoid));
    const auto z_LTE = torch::randn({2, 25, 4}) * 1.5;
    meter.add(
        {route_of(z_LTE[0], std::get<1>(z_LTE[0].topk(2, 1)), sigmoid), route_of(z_LTE[1], std::get<1>(z_LTE[1].topk(2, 1)), sigmoid)});
    const auto m = meter.metrics();
    for (std::int64_t l = 0; l < 2; ++l) {
      const auto p_TE = z_LTE[l].to(torch::kFloat64).softmax(1);
      const auto prefix = "router/layer_" + std::to_string(l == 0 ? 1 : 3) + "_";
      const auto mean_E = p_TE.mean(0);
      CHECK(at(m, prefix + "entropy_per_token") == doctest::Approx(-(p_TE * p_TE.log()).sum(1).mean().item<double>()).epsilon(1e-5));
      CHECK(at(m, prefix + "entropy_distribution") == doctest::Approx(-(mean_E * mean_E.log()).sum().item<double>()).epsilon(1e-5));
      CHECK(at(m, prefix + "logit_rms") == doctest::Approx(z_LTE[l].square().mean().sqrt().item<double>()).epsilon(1e-5));
      CHECK(at(m, prefix + "logit_max") == doctest::Approx(z_LTE[l].abs().max().item<double>()));
      CHECK(at(m, prefix + "zloss") == doctest::Approx(z_LTE[l].logsumexp(1).square().mean().item<double>()).epsilon(1e-5));
    }
  }
}

TEST_CASE("an expert is dead after 100 periods without an assignment, and alive again with the next one") {
  const auto shape = two_layer_shape(1);
  LoadMeter meter(shape);
  const auto period = [&](std::initializer_list<std::int64_t> experts) {
    meter.reset();
    const auto logits = torch::zeros({static_cast<std::int64_t>(experts.size()), 4});
    meter.add({route_of(logits, column(experts)), route_of(logits, column(experts))});
    return at(meter.metrics(), "router/layer_1_dead");
  };
  CHECK(period({0, 1, 2}) == 1);  // of one period, expert 3 has had nothing
  CHECK(period({0, 1, 3}) == 0);  // everyone has had something within two
  for (int n = 3; n <= 100; ++n) CHECK(period({0, 1, 3}) == 0);
  CHECK(period({0, 1, 3}) == 1);  // periods 2 to 101 had nothing for expert 2
  CHECK(period({0, 1, 2}) == 0);
}

TEST_CASE("the window of dead experts survives a checkpoint") {
  const auto shape = two_layer_shape(1);
  LoadMeter a(shape);
  const auto feed = [](LoadMeter& meter, std::initializer_list<std::int64_t> experts) {
    const auto logits = torch::zeros({static_cast<std::int64_t>(experts.size()), 4});
    meter.add({route_of(logits, column(experts)), route_of(logits, column(experts))});
  };
  for (int n = 0; n < 60; ++n) {
    feed(a, n == 0 ? std::initializer_list<std::int64_t>{0, 1, 2, 3} : std::initializer_list<std::int64_t>{0, 1, 3});
    a.reset();
  }
  LoadMeter b(shape);
  b.restore(a.state());
  for (int n = 0; n < 41; ++n) {
    for (auto* meter : {&a, &b}) {
      meter->reset();
      feed(*meter, {0, 1, 3});
    }
    CAPTURE(n);
    CHECK(a.metrics() == b.metrics());
  }
  CHECK(at(b.metrics(), "router/layer_1_dead") == 1);
  CHECK_THROWS_AS(LoadMeter(core::model_shape(routing_config(5, 1))).restore(a.state()), core::Error);
  CHECK_THROWS_AS(b.restore({}), core::Error);
}

TEST_CASE("every name is in the catalogue") {
  LoadMeter meter(two_layer_shape(1));
  meter.add({route_of(torch::randn({4, 4}), column({0, 1, 2, 3})), route_of(torch::randn({4, 4}), column({0, 1, 2, 3}))});
  for (const auto& [name, value] : meter.metrics()) CHECK_MESSAGE(core::find_metric(name) != nullptr, name);
}

}  // namespace moelab::worker::test
