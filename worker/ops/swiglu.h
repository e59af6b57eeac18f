// Owns the SwiGLU activation, and the dense feed-forward network built on it. Called by model/block and ops/moe_experts.
// Shapes: T tokens (or N rows), D model width, F FFN width.
#pragma once

#include <torch/torch.h>

namespace moelab::worker {

struct SwigluWeights {
  torch::Tensor gate_FD, up_FD, down_DF;  // in the type of the input
};

// down(silu(gate(x)) * up(x)) (Shazeer, arXiv 2002.05202). The backward pass recomputes the activation instead of keeping it.
torch::Tensor swiglu_ffn(const torch::Tensor& x_TD, const SwigluWeights& weights);
torch::Tensor swiglu_ffn_reference(const torch::Tensor& x_TD, const SwigluWeights& weights);  // plain autograd, for tests

// The activation alone, without autograd. gate, up: [N, F] with unit column stride (views into wider rows are welcome).
// scale_N: fp32 factor of each row, or undefined. Returns scale * silu(gate) * up, contiguous, in the type of `gate`.
torch::Tensor swiglu_activation(const torch::Tensor& gate_NF, const torch::Tensor& up_NF, const torch::Tensor& scale_N);

struct SwigluGradient {
  torch::Tensor activation_NF;  // what swiglu_activation returned
  torch::Tensor scale_N;        // fp32 gradient of the row factors; undefined without them
};

// Given the gradient of the activation, fills grad_gate and grad_up ([N, F], unit column stride) and returns the rest.
SwigluGradient swiglu_backward(const torch::Tensor& gate_NF, const torch::Tensor& up_NF, const torch::Tensor& scale_N,
                               const torch::Tensor& grad_NF, torch::Tensor grad_gate_NF, torch::Tensor grad_up_NF);

}  // namespace moelab::worker
