// Owns the collapse rule: when a run whose routing has fallen onto one expert is not worth going on with. Called by the trainer
// with the counts of a whole optimiser step. Source: moe-emergence, generalised from its last micro-batch to the step.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"

namespace moelab::worker {

class CollapseWatch {
 public:
  // layers: numbers of the MoE layers.
  CollapseWatch(const core::EarlyStopConfig& rule, std::vector<std::int64_t> layers);

  // The rule is on, and looks after this step (a multiple of collapse_interval).
  bool looks_after(std::int64_t step) const;

  struct Look {
    std::int64_t layer = 0, expert = 0;  // where the largest share is
    double share = 0;                    // of the layer's assignments before drops
    std::int64_t in_a_row = 0;           // collapsed looks up to this one; 0 = this one was not
    bool stop = false;                   // in_a_row has reached collapse_patience
  };
  // counts_LE: int64 assignments of the step, on the host.
  Look look(const torch::Tensor& counts_LE);

  std::int64_t in_a_row() const { return in_a_row_; }
  void restore(std::int64_t in_a_row) { in_a_row_ = in_a_row; }

 private:
  core::EarlyStopConfig rule_;
  std::vector<std::int64_t> layers_;
  std::int64_t in_a_row_ = 0;
};

}  // namespace moelab::worker
