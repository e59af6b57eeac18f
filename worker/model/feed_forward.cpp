#include "worker/model/feed_forward.h"

#include "worker/ops/swiglu.h"

namespace moelab::worker {

FeedForward::FeedForward(std::int64_t hidden, std::int64_t width) {
  gate_ = register_module("gate", std::make_shared<Weight>(torch::IntArrayRef{width, hidden}));
  up_ = register_module("up", std::make_shared<Weight>(torch::IntArrayRef{width, hidden}));
  down_ = register_module("down", std::make_shared<Weight>(torch::IntArrayRef{hidden, width}));
}

torch::Tensor FeedForward::forward(const torch::Tensor& x_TD) const {
  const auto type = x_TD.scalar_type();
  return swiglu_ffn(x_TD, {gate_->as(type), up_->as(type), down_->as(type)});
}

}  // namespace moelab::worker
