// Owns what is left of a model outside training: routings that then are token choice, and weights that only training reads.
// Called by hf_export.
#pragma once

#include "core/config.h"
#include "worker/interop/safetensors.h"

namespace moelab::worker {

// The configuration of the model that computes the same in evaluation and generation. Token choice in other words are: REINFORCE
// (the likeliest expert, weight 1), BASE and Sinkhorn with K = 1 (sigmoid of the best logit), Sinkhorn with K > 1 and expert choice in its
// causal form (softmax of the K best, not renormalised). Other routings stay as they are. Router noise and multi-token prediction are gone.
core::RunConfig inference_form(core::RunConfig run);

// `weights` without those of router noise and multi-token prediction.
TensorMap inference_weights(TensorMap weights);

}  // namespace moelab::worker
