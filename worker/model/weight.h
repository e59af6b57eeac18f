// Owns the smallest module: one named matrix or vector. Used by every module of this folder.
#pragma once

#include <torch/torch.h>

namespace moelab::worker {

// A module whose only parameter is `weight`, so that names read layers.0.attn.q.weight. Zero until the model draws it.
class Weight : public torch::nn::Module {
 public:
  explicit Weight(torch::IntArrayRef shape) { value = register_parameter("weight", torch::zeros(shape)); }

  // The weight in the type matrix products run in; the gradient comes back in the weight's own type.
  torch::Tensor as(torch::ScalarType compute_type) const { return value.to(compute_type); }

  torch::Tensor value;
};

}  // namespace moelab::worker
