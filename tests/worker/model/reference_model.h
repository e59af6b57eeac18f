// Owns a second, slow and obvious implementation of Moedl: one token, one head, one expert at a time, in plain autograd
// operations on the weights of a real model. Written from the papers' formulas, sharing no code with worker/.
// Shapes: B sequences, L positions, D width, C head width, E experts, K choices.
#pragma once

#include <torch/torch.h>

#include <map>
#include <string>

#include "core/config.h"
#include "core/model_shape.h"

namespace moelab::worker::test {

struct ReferenceLoss {
  torch::Tensor total;      // mean cross-entropy + coefficients * auxiliary losses
  torch::Tensor ce, lb, z;  // parts, unscaled; lb and z undefined without MoE layers
  torch::Tensor mtp;        // undefined without multi-token prediction
  torch::Tensor logits_BLV;
  std::int64_t dropped = 0;  // assignments over capacity, all layers
};

class ReferenceModel {
 public:
  // `weights` by the names of worker/model/language_model.h, buffers included; gradients arrive in them.
  ReferenceModel(const core::RunConfig& config, std::map<std::string, torch::Tensor> weights);

  ReferenceLoss loss(const torch::Tensor& ids_BL, const torch::Tensor& targets_BL, bool training) const;

 private:
  struct RouterStatistics {
    torch::Tensor balance, z;
  };
  const torch::Tensor& weight(const std::string& name) const { return weights_.at(name); }
  torch::Tensor norm(const torch::Tensor& x_D, const std::string& name) const;
  torch::Tensor normed_rows(const torch::Tensor& x_TD, const std::string& name) const;
  // Residual stream after attention and a dense network.
  torch::Tensor dense_block(const torch::Tensor& x_TD, std::int64_t batch, const std::string& prefix) const;
  torch::Tensor prediction(torch::Tensor x_TD, const torch::Tensor& targets_BL) const;
  torch::Tensor attention(const torch::Tensor& x_LD, const std::string& prefix) const;
  torch::Tensor feed_forward(const torch::Tensor& x_D, const std::string& prefix) const;
  torch::Tensor moe(const torch::Tensor& x_TD, const std::string& prefix, bool training, RouterStatistics& statistics,
                    std::int64_t& dropped) const;

  core::RunConfig config_;
  core::ModelShape shape_;
  std::map<std::string, torch::Tensor> weights_;
};

}  // namespace moelab::worker::test
