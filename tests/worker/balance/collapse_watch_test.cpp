// The collapse rule: what counts as a collapsed look, and when looks end a run.
#include "worker/balance/collapse_watch.h"

#include <doctest/doctest.h>

namespace moelab::worker::test {

TEST_CASE("looks come at the interval, only when asked for and only with MoE layers") {
  core::EarlyStopConfig rule;
  rule.collapse_interval = 10;
  CHECK_FALSE(CollapseWatch(rule, {1}).looks_after(10));
  rule.collapse = true;
  CHECK(CollapseWatch(rule, {1}).looks_after(10));
  CHECK_FALSE(CollapseWatch(rule, {1}).looks_after(15));
  CHECK_FALSE(CollapseWatch(rule, {}).looks_after(10));
}

TEST_CASE("any layer above the share counts, a healthy look starts again, patience ends the run") {
  core::EarlyStopConfig rule;
  rule.collapse = true;
  rule.collapse_load = 0.6;
  rule.collapse_patience = 3;
  CollapseWatch watch(rule, {2, 5});
  const auto healthy = torch::tensor({{30, 35, 35}, {60, 20, 20}}, torch::kInt64);  // exactly 0.6 is not above it
  const auto collapsed = torch::tensor({{30, 35, 35}, {19, 61, 20}}, torch::kInt64);
  const auto first = watch.look(collapsed);
  CHECK(first.layer == 5);
  CHECK(first.expert == 1);
  CHECK(first.share == doctest::Approx(0.61));
  CHECK(first.in_a_row == 1);
  CHECK(watch.look(healthy).in_a_row == 0);
  // moe-emergence's run-006, looks at 100 to 500: collapsed, healthy, then three in a row (methods.md, section 9-16).
  CHECK_FALSE(watch.look(collapsed).stop);
  CHECK_FALSE(watch.look(collapsed).stop);
  CollapseWatch resumed(rule, {2, 5});
  resumed.restore(watch.in_a_row());
  CHECK(resumed.look(collapsed).stop);
}

}  // namespace moelab::worker::test
