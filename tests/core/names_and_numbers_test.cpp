// Small things that everything leans on: did-you-mean, the metric catalogue, times, numbers.
#include <doctest/doctest.h>

#include <set>

#include "core/clock.h"
#include "core/error.h"
#include "core/field_map.h"
#include "core/metric_catalog.h"
#include "core/nearest_name.h"
#include "core/number_text.h"

using namespace moelab::core;

TEST_CASE("edit distance counts a swap as one slip") {
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("lable", "label") == 1);
  CHECK(edit_distance("ca", "abc") == 3);
}

TEST_CASE("did you mean") {
  const std::vector<std::string> known{"matrix", "seeds", "variants"};
  CHECK(nearest_name("matrx", known) == "matrix");
  CHECK(nearest_name("variant", known) == "variants");
  CHECK(nearest_name("var", known) == "variants");
  CHECK(nearest_name("va", known).empty());
  CHECK(nearest_name("filter", known).empty());
  CHECK(did_you_mean("seed", known) == " (did you mean 'seeds'?)");
  CHECK(did_you_mean("x", known).empty());
  CHECK(did_you_mean_field("model.lb_gamma") == " (did you mean 'moe.lb_gamma'?)");
  CHECK(did_you_mean_field("train.learning_rat").empty());
}

TEST_CASE("a count with its noun") {
  CHECK(counted(0, "run") == "0 runs");
  CHECK(counted(1, "run") == "1 run");
  CHECK(counted(1000, "run") == "1000 runs");
  CHECK(counted(1, "family", "families") == "1 family");
  CHECK(counted(2, "family", "families") == "2 families");
}

TEST_CASE("metrics are found under their concrete names") {
  CHECK(find_metric("train/loss")->direction == Direction::down);
  CHECK(find_metric("perf/tokens_per_sec")->direction == Direction::up);
  CHECK(find_metric("router/layer_12_maxvio")->name == "router/layer_{l}_maxvio");
  CHECK(find_metric("router/layer_3_entropy_distribution")->unit == "nats");
  CHECK(find_metric("train/moe/load/e007")->name == "train/moe/load/e{e}");
  CHECK(find_metric("eval/loss_hf")->name == "eval/loss_hf");
  CHECK(find_metric("eval/loss_code")->name == "eval/loss_{d}");
  CHECK(find_metric("eval/ppl_stack_v2")->name == "eval/ppl_{d}");
  CHECK(find_metric("train/loss_math")->unit == "nats");
  CHECK(metric_title("eval/loss_stack_v2") == "Evaluation loss, stack_v2");
  CHECK(metric_title("train/moe/load/e007") == "Load of expert 7");
  CHECK(metric_title("train/moe/load/e000") == "Load of expert 0");
  CHECK(metric_title("router/layer_10_maxvio") == "MaxVio, layer 10");
  CHECK(metric_title("custom/thing") == "custom/thing");
  for (const char* name : {"train/los", "train/loss2", "eval/loss_", "eval/loss_Code", "eval/loss_2", "eval/ppl_a-b",
                           "router/layer__maxvio", "router/layer_1_maxviol", "train/moe/load/e", ""}) {
    INFO(name);
    CHECK(find_metric(name) == nullptr);
  }
}

TEST_CASE("every metric is listed once and described") {
  std::set<std::string_view> names;
  for (const MetricInfo& info : metric_catalog()) {
    INFO(std::string(info.name));
    CHECK(names.insert(info.name).second);
    CHECK_FALSE(info.title.empty());
    CHECK_FALSE(info.group.empty());
    CHECK_FALSE(info.doc.empty());
  }
}

TEST_CASE("times travel as RFC 3339") {
  const TimePoint time{std::chrono::milliseconds(1'795'341'600'123)};
  CHECK(to_rfc3339(time) == "2026-11-22T10:00:00.123Z");
  CHECK(from_rfc3339("2026-11-22T10:00:00.123Z") == time);
  CHECK(from_rfc3339("2026-11-22T10:00:00Z") == time - std::chrono::milliseconds(123));
  CHECK(to_rfc3339(TimePoint{} - std::chrono::milliseconds(1)) == "1969-12-31T23:59:59.999Z");
  for (const char* text : {"", "2026-11-22", "2026-13-22T10:00:00Z", "2026-02-30T10:00:00Z", "2026-11-22T25:00:00Z",
                           "2026-11-22T10:00:00+01:00", "2026-11-22T10:00:00.123Zx"}) {
    INFO(text);
    CHECK_THROWS_AS(from_rfc3339(text), Error);
  }
}

TEST_CASE("numbers are read whole or not at all") {
  CHECK(parse_number("8.0e-4") == 8e-4);
  CHECK(parse_number("+3") == 3);
  CHECK(parse_number("-0") == 0.0);
  CHECK_FALSE(std::signbit(*parse_number("-0.0")));
  for (const char* text : {"", "+", "1x", " 1", "nan", "inf", "1e999", "0x10", "1,5"}) {
    INFO(text);
    CHECK_FALSE(parse_number(text));
  }
  CHECK(parse_integer("1e3") == 1000);
  CHECK(parse_integer("9000000000000000") == 9'000'000'000'000'000);
  CHECK_FALSE(parse_integer("9000000000000001"));
  CHECK_FALSE(parse_integer("1.5"));
  CHECK(number_text(1e5) == "100000");
  CHECK(number_text(0.1) == "0.1");
}
