// Owns a slow, plain routing of one micro-batch, written from the definitions with loops over tokens and experts.
// Scores come from reference_scores in double; choices are made on the fp32 scores under test, because whether two scores
// are equal is decided by their last bit.
#pragma once

#include <vector>

#include "core/config.h"

namespace moelab::worker::test {

struct ReferenceRoute {
  std::vector<std::vector<int>> expert;     // [T][K]
  std::vector<std::vector<double>> weight;  // [T][K]
  std::vector<std::vector<bool>> keep;      // [T][K]
  std::vector<std::vector<long>> count;     // [K][E]
};

struct ReferenceOptions {
  bool sigmoid = false, normalize = false;
  double capacity_factor = 0;
};

using Rows = std::vector<std::vector<float>>;  // [T][E]

std::vector<double> reference_scores(const std::vector<float>& logits, bool sigmoid);
ReferenceRoute reference_route(const Rows& scores, const Rows& logits, const std::vector<float>& bias, const core::MoeConfig& moe,
                               const ReferenceOptions& options);

}  // namespace moelab::worker::test
