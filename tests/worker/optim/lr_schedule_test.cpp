#include "worker/optim/lr_schedule.h"

#include <doctest/doctest.h>

using namespace moelab;

namespace {

worker::LrSchedule schedule(core::Schedule kind, double warmup_ratio, std::int64_t total) {
  core::TrainConfig train;
  train.lr = 8e-4;
  train.schedule = kind;
  train.warmup_ratio = warmup_ratio;
  return {train, total};
}

}  // namespace

// Expected values: Transformers 5.23 get_cosine_schedule_with_warmup and its siblings, lr 8e-4, 10 warm-up of 100 steps.
TEST_CASE("warm-up starts at zero and reaches the peak") {
  const auto cosine = schedule(core::Schedule::cosine, 0.1, 100);
  CHECK(cosine.warmup_steps() == 10);
  CHECK(cosine.lr(0) == 0);
  CHECK(cosine.lr(1) == doctest::Approx(8e-5).epsilon(1e-12));
  CHECK(cosine.lr(9) == doctest::Approx(7.2e-4).epsilon(1e-12));
  CHECK(cosine.lr(10) == doctest::Approx(8e-4).epsilon(1e-12));
}

TEST_CASE("cosine, linear and constant after warm-up") {
  const auto cosine = schedule(core::Schedule::cosine, 0.1, 100);
  CHECK(cosine.lr(55) == doctest::Approx(4e-4).epsilon(1e-12));           // half way: cos(pi/2) = 0
  CHECK(cosine.lr(40) == doctest::Approx(6e-4).epsilon(1e-12));           // a third: (1 + 0.5) / 2
  CHECK(cosine.lr(99) == doctest::Approx(2.436692697e-7).epsilon(1e-8));  // 4e-4 * (1 + cos(89 pi / 90))
  CHECK(cosine.lr(100) == doctest::Approx(0).epsilon(1e-12));
  const auto linear = schedule(core::Schedule::linear, 0.1, 100);
  CHECK(linear.lr(55) == doctest::Approx(4e-4).epsilon(1e-12));
  CHECK(linear.lr(99) == doctest::Approx(8e-4 / 90).epsilon(1e-12));
  CHECK(linear.lr(100) == 0);
  CHECK(linear.lr(150) == 0);
  const auto constant = schedule(core::Schedule::constant, 0.1, 100);
  CHECK(constant.lr(5) == doctest::Approx(4e-4).epsilon(1e-12));
  CHECK(constant.lr(99) == 8e-4);
}

TEST_CASE("warm-up rounds up, and explicit steps win over the ratio") {
  CHECK(schedule(core::Schedule::cosine, 0.01, 150).warmup_steps() == 2);
  CHECK(schedule(core::Schedule::cosine, 0, 150).warmup_steps() == 0);
  CHECK(schedule(core::Schedule::cosine, 0, 150).lr(0) == 8e-4);
  core::TrainConfig train;
  train.warmup_steps = 7;
  CHECK(worker::LrSchedule(train, 1000).warmup_steps() == 7);
}
