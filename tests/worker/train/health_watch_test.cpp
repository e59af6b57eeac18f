// Health alerts: each condition on its own, said once in a while, and the same after a resume.
#include "worker/train/health_watch.h"

#include <doctest/doctest.h>

#include <cmath>

namespace moelab::worker::test {
namespace {

core::MoeConfig four_experts() {
  core::MoeConfig moe;
  moe.num_experts = 4;
  moe.num_active_experts = 1;
  moe.z_loss_coeff = 0.001;
  return moe;
}

const torch::Tensor kEven = torch::tensor({{25, 25, 25, 25}}, torch::kInt64);

std::map<std::string, double> values(double loss, double z_loss = 2) {
  return {{"train/loss", loss}, {"train/z_loss", z_loss}};
}

// Codes over `steps` logged steps, each with its step.
template <class Values>
std::vector<std::pair<std::int64_t, std::string>> codes(HealthWatch& watch, std::int64_t first, std::int64_t steps, Values&& at,
                                                        const torch::Tensor& counts = kEven) {
  std::vector<std::pair<std::int64_t, std::string>> found;
  for (std::int64_t step = first; step < first + steps; ++step) {
    for (const auto& alert : watch.observe(step, at(step), counts)) found.emplace_back(step, alert.code);
  }
  return found;
}

using Found = std::vector<std::pair<std::int64_t, std::string>>;

// A loss that falls slowly and jitters a little, without chance.
double steady(std::int64_t step) {
  return 3 + 0.1 * std::sin(static_cast<double>(step));
}

}  // namespace

TEST_CASE("a healthy run has no alerts") {
  HealthWatch watch(four_experts(), {0});
  CHECK(codes(watch, 1, 350, [](auto step) { return values(steady(step)); }).empty());
}

TEST_CASE("loads out of bounds over a window are named with layer and expert, half as often each time while they last") {
  HealthWatch watch(four_experts(), {3});
  const auto skewed = torch::tensor({{70, 5, 13, 12}}, torch::kInt64);
  const auto found = codes(
      watch, 1, 1000, [](auto step) { return values(steady(step)); }, skewed);
  Found expected;
  for (const std::int64_t step : {100, 200, 400, 800}) {
    for (const char* code : {"expert_underused", "expert_overused", "load_imbalanced"}) expected.emplace_back(step, code);
  }
  CHECK(found == expected);
  codes(watch, 1001, 1000, [](auto step) { return values(steady(step)); });
  const auto afresh = codes(
      watch, 2001, 200, [](auto step) { return values(steady(step)); }, skewed);
  REQUIRE(afresh.size() == 6);
  CHECK(afresh[0].first == 2100);
  CHECK(afresh[3].first == 2200);
  HealthWatch again(four_experts(), {3});
  codes(
      again, 1, 99, [](auto step) { return values(steady(step)); }, skewed);
  const auto alerts = again.observe(100, values(steady(100)), skewed);
  REQUIRE(alerts.size() == 3);
  CHECK(alerts[0].message == "layer 3: expert 1 got 5.0% of the assignments of 100 logged steps; even is 25.0%");
}

TEST_CASE("the z-loss alerts when it is large after its coefficient, and when it doubles within 500 steps but not more slowly") {
  HealthWatch large(four_experts(), {0});
  CHECK(codes(large, 1, 3, [](auto step) { return values(steady(step), 11); }) == Found{{1, "z_loss_large"}});
  HealthWatch doubled(four_experts(), {0});
  CHECK(codes(doubled, 1, 399, [](auto step) { return values(steady(step), step < 300 ? 2 : 4.1); }) == Found{{300, "z_loss_doubled"}});
  HealthWatch slow(four_experts(), {0});
  CHECK(codes(slow, 1, 2000, [](auto step) { return values(steady(step), 2 * std::pow(2.0, static_cast<double>(step) / 1000)); }).empty());
}

TEST_CASE("a loss far above the window before it is a spike; a dense model has that alert alone") {
  HealthWatch watch({}, {});
  const auto found = codes(
      watch, 1, 300,
      [](auto step) {
        return std::map<std::string, double>{{"train/loss", step == 150 ? 4.5 : steady(step)}};
      },
      torch::Tensor());
  CHECK(found == Found{{150, "loss_spike"}});
  HealthWatch young({}, {});
  CHECK(codes(
            young, 1, 60,
            [](auto step) {
              return std::map<std::string, double>{{"train/loss", step == 50 ? 9 : steady(step)}};
            },
            torch::Tensor())
            .empty());
}

TEST_CASE("a resumed watch gives the same alerts") {
  const auto at = [](std::int64_t step) { return values(step % 70 == 0 ? 5 : steady(step), step < 180 ? 2 : 12); };
  const auto skewed = torch::tensor({{70, 5, 13, 12}}, torch::kInt64);
  HealthWatch whole(four_experts(), {0});
  const auto expected = codes(whole, 1, 900, at, skewed);
  REQUIRE(expected.size() > 9);
  HealthWatch first(four_experts(), {0});
  auto found = codes(first, 1, 190, at, skewed);
  HealthWatch second(four_experts(), {0});
  second.restore(first.state());
  const auto rest = codes(second, 191, 710, at, skewed);
  found.insert(found.end(), rest.begin(), rest.end());
  CHECK(found == expected);
}

}  // namespace moelab::worker::test
