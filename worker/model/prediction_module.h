// Owns one module of multi-token prediction (DeepSeek-V3, arXiv 2412.19437, section 2.2), used in training only. Called by
// language_model. Shapes: T = B*L tokens, D model width.
#pragma once

#include <torch/torch.h>

#include <memory>

#include "core/config.h"
#include "core/model_shape.h"
#include "worker/model/block.h"
#include "worker/model/weight.h"

namespace moelab::worker {

// h' = Block(M [RMS(h); RMS(e)]), one dense transformer block; its output norm goes before the shared head.
// Names: norm_hidden.weight [D], norm_embed.weight [D], project.weight [D, 2D], block.*, norm.weight [D].
class PredictionModule : public torch::nn::Module {
 public:
  PredictionModule(const core::RunConfig& config, const core::ModelShape& shape);

  struct Output {
    torch::Tensor hidden_TD;  // h' of the residual stream, for the next module
    torch::Tensor normed_TD;  // in the compute type, for the head
  };
  // hidden_TD: h of the module before, or of the trunk. embedded_TD: embedding of the token that the module may look at.
  Output forward(const torch::Tensor& hidden_TD, const torch::Tensor& embedded_TD, ForwardPass& pass) const;

 private:
  double eps_;
  std::shared_ptr<Weight> norm_hidden_, norm_embed_, project_;
  std::shared_ptr<Block> block_;
  std::shared_ptr<Weight> norm_;
};

}  // namespace moelab::worker
