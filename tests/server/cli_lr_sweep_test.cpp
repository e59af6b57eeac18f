#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "server/cli/lr_sweep_text.h"

using namespace moelab::server::cli;
using nlohmann::json;

namespace {

json row(double rate, json loss, const std::string& note = "") {
  return {{"rate", rate},          {"run_id", 1},      {"state", "completed"},          {"step", 150},    {"last_loss", loss},
          {"smoothed_loss", loss}, {"last_grad_norm", 0.5}, {"diverged", note == "diverged"}, {"note", note}};
}

json variant(const std::string& name, json best, std::vector<json> rates) {
  return {{"name", name},    {"complete", true}, {"best", best}, {"refusal", best.is_null() ? json("every rate diverged") : json()},
          {"warnings", {}}, {"rates", rates}};
}

json report(std::vector<json> variants) {
  return {{"experiment", "e"}, {"experiment_id", 1}, {"steps", 150}, {"warmup", 30}, {"variants", variants}};
}

}  // namespace

TEST_CASE("the chart shows the loss over the logarithm of the rate, the suggested rate and what diverged") {
  const std::string chart = lr_chart(
      variant("a", 1e-3, {row(1e-3, 4), row(1e-4, 6), row(1e-5, 8), row(1e-2, "NaN", "diverged"), row(3e-3, 5, "failed: lost")}));
  CHECK(chart ==
        "    8.0000 |o                                                           x\n"
        "           |                                                             \n"
        "           |                                                             \n"
        "           |                                                             \n"
        "           |                    o                                        \n"
        "           |                                                             \n"
        "           |                                                             \n"
        "           |                                                             \n"
        "    4.0000 |                                        @                    \n"
        "           ++-------------------+-------------------+-------------------+\n"
        "            1e-05                                                    0.01  lr\n");
  CHECK(lr_chart(variant("a", 1e-3, {row(1e-3, 4)})).empty());
  CHECK(lr_chart(variant("a", nullptr, {row(1e-3, "NaN", "diverged"), row(1e-2, "NaN", "diverged")})).empty());
  CHECK(lr_chart(variant("a", 1e-3, {row(1e-3, 4), row(1e-2, 4)})).find("4.0000 |@") != std::string::npos);
}

TEST_CASE("the table has a line a rate, in full precision as CSV") {
  const Table table = lr_sweep_table({report({variant("a", 1e-3, {row(1e-3, 4.123456789), row(1e-2, "NaN", "diverged")})})}, true);
  CHECK(table.csv() ==
        "experiment,variant,lr,last_loss,mean_of_last_10,grad_norm,step,suggested,note\n"
        "e,a,0.001,4.123456789,4.123456789,0.5,150,*,\n"
        "e,a,0.01,NaN,NaN,0.5,150,,diverged\n");
}

TEST_CASE("suggestions come with reasons, and as lines for the file") {
  json warned = variant("b", 1e-2, {});
  warned["warnings"] = {"the best rate 0.01 is the largest tried; sweep larger ones too"};
  const std::vector<json> reports{
      report({variant("a", 1e-3, {}), warned, variant("c", nullptr, {}), variant("d,num_experts=8", 5e-4, {}), variant("e", 3e-4, {})})};
  CHECK(lr_suggestions(reports) ==
        "e/a: 0.001\n"
        "e/b: 0.01\n"
        "  the best rate 0.01 is the largest tried; sweep larger ones too\n"
        "e/c: no rate: every rate diverged\n"
        "e/d,num_experts=8: 0.0005\n"
        "e/e: 0.0003\n");
  CHECK(lr_yaml(reports) ==
        "  - name: e\n"
        "    # d,num_experts=8: train.lr: 0.0005 (a point of the axes: vary train.lr with them under `zip`)\n"
        "    defaults: {train.lr: 0.0003}\n"
        "    variants:\n"
        "      a: {train.lr: 0.001}\n"
        "      b: {train.lr: 0.01}\n");
  CHECK(lr_yaml({report({variant("c", nullptr, {})})}).empty());
}
