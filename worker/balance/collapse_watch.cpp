// Shapes: L MoE layers, E experts.
#include "worker/balance/collapse_watch.h"

#include <utility>

namespace moelab::worker {

CollapseWatch::CollapseWatch(const core::EarlyStopConfig& rule, std::vector<std::int64_t> layers)
    : rule_(rule), layers_(std::move(layers)) {}

bool CollapseWatch::looks_after(std::int64_t step) const {
  return rule_.collapse && !layers_.empty() && step % rule_.collapse_interval == 0;
}

CollapseWatch::Look CollapseWatch::look(const torch::Tensor& counts_LE) {
  const auto share_LE = counts_LE.to(torch::kFloat64) / counts_LE.sum(1, /*keepdim=*/true);
  const auto largest = share_LE.argmax().item<std::int64_t>();
  const auto experts = counts_LE.size(1);
  Look look;
  look.layer = layers_.at(static_cast<std::size_t>(largest / experts));
  look.expert = largest % experts;
  look.share = share_LE.max().item<double>();
  in_a_row_ = look.share > rule_.collapse_load ? in_a_row_ + 1 : 0;
  look.in_a_row = in_a_row_;
  look.stop = in_a_row_ >= rule_.collapse_patience;
  return look;
}

}  // namespace moelab::worker
