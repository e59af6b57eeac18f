#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "server/http/expert_load_json.h"

using namespace moelab::server;
using namespace moelab::server::http;

TEST_CASE("load statistics against hand-worked values") {
  const std::vector<std::int64_t> skewed = {6, 2, 0, 0};  // mean 2, deviations 4 0 -2 -2
  const LoadStats stats = load_stats(skewed);
  CHECK(stats.cv == doctest::Approx(std::sqrt(24.0 / 4) / 2));
  CHECK(stats.maxvio == doctest::Approx(2));
  CHECK(stats.dead == doctest::Approx(0.5));
  CHECK(stats.entropy == doctest::Approx(-(0.75 * std::log(0.75) + 0.25 * std::log(0.25)) / std::log(4)));

  const std::vector<std::int64_t> even = {5, 5, 5, 5};
  CHECK(load_stats(even).cv == 0);
  CHECK(load_stats(even).maxvio == 0);
  CHECK(load_stats(even).entropy == doctest::Approx(1));
  CHECK(load_stats(even).dead == 0);
}

TEST_CASE("a layer without tokens and a single expert are no division by zero") {
  CHECK(load_stats(std::vector<std::int64_t>{0, 0}).dead == 1);
  CHECK(load_stats(std::vector<std::int64_t>{0, 0}).cv == 0);
  CHECK(load_stats(std::vector<std::int64_t>{7}).entropy == 1);
}

TEST_CASE("fractions sum to 1 in each row, and an empty row stays 0") {
  const std::vector<double> expected = {0.25, 0.75, 0, 0, 1, 0};
  CHECK(load_fractions({1, 3, 0, 0, 2, 0}, 2) == expected);
}

TEST_CASE("derived values are over the slots of a layer together") {
  ExpertLoadView view;
  view.layers = {4, 6};
  view.slots = 2;
  view.experts = 2;
  view.frames = {{10, {4, 0, 0, 4, /* layer 6 */ 4, 0, 4, 0}}};
  view.total_frames = 1;
  const nlohmann::json json = to_json(view);
  CHECK(json.at("frames").at(0).at("step") == 10);
  CHECK(json.at("frames").at(0).at("load") == nlohmann::json({1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0}));
  CHECK(json.at("derived").at("maxvio") == nlohmann::json({{0.0, 1.0}}));  // layer 4 is even over both slots
  CHECK(json.at("derived").at("dead") == nlohmann::json({{0.0, 0.5}}));
  CHECK(picture_of(view, 0).layers == std::vector<std::int64_t>{4, 6});
  CHECK(picture_of(view, 0).load.size() == 8);
}

TEST_CASE("a frame of the wrong size is reported, not read past its end") {
  ExpertLoadView view;
  view.layers = {0};
  view.slots = 1;
  view.experts = 4;
  view.frames = {{1, {1, 2, 3}}};
  CHECK_THROWS_AS(to_json(view), moelab::core::Error);
}
