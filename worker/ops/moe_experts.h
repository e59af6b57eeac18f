// Owns the routed experts of a MoE layer: SwiGLU experts over tokens sorted by expert. Called by model/experts.
// Shapes: T tokens, K choices, E experts, D model width, f expert width, N = kept assignments.
#pragma once

#include <torch/torch.h>

namespace moelab::worker {

// How the products over the experts' contiguous segments run.
enum class ExpertProducts {
  automatic,  // per segment on the CPU, grouped elsewhere
  segments,   // one matrix product a segment; needs segment bounds on the host, so CPU only
  grouped,    // at::_grouped_mm, one call for all experts, no host synchronisation
};

struct ExpertInputs {
  torch::Tensor x_TD;         // activations in the compute type
  torch::Tensor expert_TK;    // int64 expert ids
  torch::Tensor weight_TK;    // combine weights, fp32 (double in a double model)
  torch::Tensor keep_TK;      // bool, undefined = keep all
  torch::Tensor gate_up_EDX;  // [E, D, 2f], gate columns first, in the compute type
  torch::Tensor down_EfD;     // [E, f, D]
};

// out_t = sum over kept k of weight_tk * Expert_{expert_tk}(x_t), accumulated in fp32 in the order of k and returned in the
// type of the combine weights: deterministic, no atomics. Dropped assignments cost nothing. Gradients flow to x_TD,
// weight_TK and both weight tensors; an expert without tokens gets gradient zero, because its Adam moments still move it.
// Only the gate and up projections are kept for the backward pass: the combine weight is applied to the activation, so its
// gradient needs no expert output.
torch::Tensor moe_experts(const ExpertInputs& inputs, ExpertProducts products = ExpertProducts::automatic);

// A loop over experts with index_select, in plain autograd operations, for tests.
torch::Tensor moe_experts_reference(const ExpertInputs& inputs);

}  // namespace moelab::worker
