#include "server/analysis/lr_sweep.h"

#include <doctest/doctest.h>

#include <limits>

using namespace moelab;
using namespace moelab::server;
using core::RunState;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// A run of 150 steps with `loss` at all of them, but `last` at the last.
SweptRate swept(const std::string& variant, double rate, double loss, double last, RunState state = RunState::completed) {
  SweptRate run{variant, rate, static_cast<std::int64_t>(rate * 1e6), state, "", 150, 30, {}, 0.5};
  for (int step = 1; step <= 150; ++step) run.loss.emplace_back(step, step == 150 ? last : loss);
  return run;
}

std::vector<double> rates_of(const LrSweepVariant& variant) {
  std::vector<double> rates;
  for (const LrSweepRow& row : variant.rows) rates.push_back(row.rate);
  return rates;
}

}  // namespace

TEST_CASE("the rate with the least last loss is suggested, for each variant by itself, with the mean of ten steps beside it") {
  const LrSweepReport report =
      report_lr_sweep({swept("a", 1e-5, 9, 9), swept("a", 1e-4, 6, 5), swept("a", 1e-3, 7, 7), swept("b", 1e-5, 9, 9),
                       swept("b", 1e-4, 8, 8), swept("b", 1e-3, 4, 4), swept("b", 1e-2, 5, 5)});
  CHECK(report.steps == 150);
  CHECK(report.warmup == 30);
  REQUIRE(report.variants.size() == 2);
  const LrSweepVariant& a = report.variants[0];
  CHECK(a.name == "a");
  CHECK(a.complete);
  CHECK(a.best == 1e-4);
  CHECK(a.refusal.empty());
  CHECK(a.warnings.empty());
  CHECK(rates_of(a) == std::vector<double>{1e-4, 1e-3, 1e-5});
  CHECK(a.rows[0].last_loss == 5);
  CHECK(a.rows[0].smoothed_loss == 5.9);
  CHECK(a.rows[0].last_grad_norm == 0.5);
  CHECK(a.rows[0].step == 150);
  CHECK(report.variants[1].best == 1e-3);
}

TEST_CASE("a rate that diverged at any step is marked and left out, however low it was") {
  SweptRate failed = swept("a", 1e-2, 1, kNaN, RunState::failed);
  failed.reason = "the loss is not finite";
  SweptRate recovered = swept("a", 3e-3, 1, 0.5);
  recovered.loss[70].second = std::numeric_limits<double>::infinity();
  const LrSweepVariant variant = report_lr_sweep({swept("a", 1e-5, 6, 6), swept("a", 1e-4, 5, 5), failed, recovered}).variants[0];
  CHECK(variant.best == 1e-4);
  CHECK(rates_of(variant) == std::vector<double>{1e-4, 1e-5, 3e-3, 1e-2});
  CHECK(variant.rows[2].diverged);
  CHECK(variant.rows[3].note == "diverged");
  CHECK(variant.warnings.empty());
}

TEST_CASE("nothing is suggested while a rate is to come, when all diverged, or when none completed") {
  const LrSweepVariant running = report_lr_sweep({swept("a", 1e-5, 6, 6), swept("a", 1e-4, 5, 5, RunState::running)}).variants[0];
  CHECK_FALSE(running.complete);
  CHECK_FALSE(running.best);
  CHECK(running.refusal == "1 of 2 rates has not ended");
  CHECK(running.rows[1].note == "running");
  const LrSweepVariant diverged = report_lr_sweep({swept("a", 1, 6, kNaN, RunState::failed), swept("a", 2, kNaN, kNaN)}).variants[0];
  CHECK_FALSE(diverged.best);
  CHECK(diverged.refusal == "every rate diverged; sweep smaller ones");
  SweptRate lost = swept("a", 1, 6, 6, RunState::cancelled);
  lost.reason = "cancelled";
  const LrSweepVariant none = report_lr_sweep({lost}).variants[0];
  CHECK(none.refusal == "no rate completed; see the notes of its runs");
  CHECK(none.rows[0].note == "cancelled: cancelled");
}

TEST_CASE("a best rate at an end of the range, and one that the mean of the last steps would not choose, carry a warning") {
  const auto warnings = [](std::vector<SweptRate> rates) { return report_lr_sweep(rates).variants[0].warnings; };
  using Texts = std::vector<std::string>;
  CHECK(warnings({swept("a", 1e-4, 5, 5), swept("a", 1e-3, 4, 4)}) ==
        Texts{"the best rate 0.001 is the largest tried; sweep larger ones too"});
  CHECK(warnings({swept("a", 1e-4, 3, 3), swept("a", 1e-3, 4, 4)}) ==
        Texts{"the best rate 0.0001 is the smallest tried; sweep smaller ones too"});
  CHECK(warnings({swept("a", 1e-4, 3, 3)}).empty());
  // A larger one was tried and diverged: the end of the range is not where the best is.
  CHECK(warnings({swept("a", 1e-4, 5, 5), swept("a", 1e-3, 4, 4), swept("a", 1e-2, kNaN, kNaN)}).empty());
  CHECK(warnings({swept("a", 1e-5, 9, 9), swept("a", 1e-4, 5, 4), swept("a", 1e-3, 4.2, 4.2), swept("a", 1e-2, 9, 9)}) ==
        Texts{"by the mean of its last 10 steps, 0.001 is best: the two are close"});
  CHECK(warnings({swept("a", 1e-5, 9, 9), swept("a", 1e-4, 4, 4), swept("a", 1e-3, 5, 5), swept("a", 1e-2, 9, 9, RunState::timed_out)}) ==
        Texts{"1 of 4 rates did not complete"});
}

TEST_CASE("equal losses go to the smaller rate, and runs without a step are no loss") {
  SweptRate waiting{"b", 1e-3, 7, RunState::queued, "", 150, 30, {}, std::nullopt};
  const LrSweepReport report = report_lr_sweep({swept("a", 1e-3, 4, 4), swept("a", 1e-4, 4, 4), waiting});
  CHECK(report.variants[0].best == 1e-4);
  CHECK_FALSE(report.variants[1].rows[0].last_loss);
  CHECK(report.variants[1].rows[0].note == "queued");
  CHECK(report_lr_sweep({}).variants.empty());
}
