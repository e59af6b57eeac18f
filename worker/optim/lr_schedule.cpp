#include "worker/optim/lr_schedule.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace moelab::worker {

LrSchedule::LrSchedule(const core::TrainConfig& train, std::int64_t total_steps)
    : kind_(train.schedule),
      base_lr_(train.lr),
      total_steps_(total_steps),
      warmup_steps_(
          train.warmup_steps.value_or(static_cast<std::int64_t>(std::ceil(train.warmup_ratio * static_cast<double>(total_steps))))) {
  assert(total_steps >= 1 && warmup_steps_ >= 0);
}

double LrSchedule::lr(std::int64_t step) const {
  if (step < warmup_steps_) return base_lr_ * static_cast<double>(step) / static_cast<double>(warmup_steps_);
  if (kind_ == core::Schedule::constant) return base_lr_;
  const auto decay_steps = static_cast<double>(std::max<std::int64_t>(1, total_steps_ - warmup_steps_));
  const double progress = std::min(1.0, static_cast<double>(step - warmup_steps_) / decay_steps);
  if (kind_ == core::Schedule::linear) return base_lr_ * (1 - progress);
  return base_lr_ * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

}  // namespace moelab::worker
