// Owns a SwiGLU feed-forward network seen by every token: the FFN of a dense layer, or the shared experts of a MoE layer.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "worker/model/weight.h"

namespace moelab::worker {

class FeedForward : public torch::nn::Module {
 public:
  FeedForward(std::int64_t hidden, std::int64_t width);

  // x_TD [T, D] in the compute type; returns the same shape and type.
  torch::Tensor forward(const torch::Tensor& x_TD) const;

 private:
  std::shared_ptr<Weight> gate_, up_, down_;
};

}  // namespace moelab::worker
