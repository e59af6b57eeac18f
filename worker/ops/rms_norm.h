// Owns RMSNorm fused with the residual addition before it. Called by model/block and model/language_model.
// Shapes: T tokens, D width.
#pragma once

#include <torch/torch.h>

namespace moelab::worker {

struct ResidualNorm {
  torch::Tensor sum_TD;     // stream + delta, in the stream's type
  torch::Tensor normed_TD;  // RMSNorm of the sum, in `out_type`
};

// RMSNorm (Zhang & Sennrich, arXiv 1910.07467): x * rsqrt(mean(x^2) + eps) in fp32, cast to the stream's type, then times
// the weight, then cast to `out_type`. `delta_TD` is what the previous sub-layer adds to the residual stream, of any floating
// type; undefined adds nothing and `sum_TD` is the stream itself. One pass forward and one backward over the rows, where
// the gradients of the stream and of the norm meet.
ResidualNorm add_rms_norm(const torch::Tensor& stream_TD, const torch::Tensor& delta_TD, const torch::Tensor& weight_D, double eps,
                          torch::ScalarType out_type);

// The same formula in plain autograd operations, for tests.
ResidualNorm add_rms_norm_reference(const torch::Tensor& stream_TD, const torch::Tensor& delta_TD, const torch::Tensor& weight_D,
                                    double eps, torch::ScalarType out_type);

}  // namespace moelab::worker
