// Owns the baseline of REINFORCE: a running mean of the reward. Called by the trainer.
#pragma once

#include <optional>

namespace moelab::worker {

// Exponential moving average with decay 0.99 of the mean reward of each optimiser step; empty before the first.
class RewardBaseline {
 public:
  std::optional<double> value() const { return value_; }
  void add(double step_mean_reward) { value_ = value_ ? kDecay * *value_ + (1 - kDecay) * step_mean_reward : step_mean_reward; }
  void restore(std::optional<double> value) { value_ = value; }

 private:
  static constexpr double kDecay = 0.99;
  std::optional<double> value_;
};

}  // namespace moelab::worker
