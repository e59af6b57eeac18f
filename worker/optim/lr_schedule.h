// Owns the learning rate of every optimiser step: linear warm-up, then cosine or linear decay to 0, or constant.
// The formulas are those of Transformers' get_{cosine,linear,constant}_schedule_with_warmup. Called by the trainer.
#pragma once

#include <cstdint>

#include "core/config.h"

namespace moelab::worker {

class LrSchedule {
 public:
  // `total_steps`: optimiser steps of the whole run, at least 1; warm-up is train.warmup_steps if set, else
  // ceil(warmup_ratio * total_steps).
  LrSchedule(const core::TrainConfig& train, std::int64_t total_steps);

  // Rate of the 0-based optimiser step: base * step / warmup while step < warmup, so the very first step of a run with
  // warm-up moves nothing, as in Transformers. Steps past the end keep the last value (0 for cosine and linear).
  double lr(std::int64_t step) const;
  std::int64_t warmup_steps() const { return warmup_steps_; }

 private:
  core::Schedule kind_;
  double base_lr_;
  std::int64_t total_steps_, warmup_steps_;
};

}  // namespace moelab::worker
