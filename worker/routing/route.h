// Owns what a router decides for one MoE layer and one micro-batch; made by Router, used by the experts, the losses,
// the bias controller and the load meter.
// Shapes: T tokens of the micro-batch (B*L flattened), E routed experts, K slots of a token: the active experts, or all E of them
// where experts choose tokens.
#pragma once

#include <torch/torch.h>

namespace moelab::worker {

struct Route {
  torch::Tensor expert_TK;     // int64, k-th ranked choice of each token
  torch::Tensor weight_TK;     // fp32 combine weights; gradient flows to the router
  torch::Tensor keep_TK;       // bool, false = not computed; undefined = everything is
  torch::Tensor logit_TE;      // fp32 router logits before any noise, with gradient; undefined for a router without logits
  torch::Tensor score_TE;      // fp32 scores the choice rests on (softmax or sigmoid of the noisy logits), with gradient, or undefined
  torch::Tensor count_KE;      // int64 assignments per slot and expert, before drops; one slot where experts choose
  torch::Tensor dropped;       // int64 scalar, assignments beyond an expert's capacity; undefined = none
  torch::Tensor noisy_TE;      // fp32 logits with noise, with gradient; undefined without noise
  torch::Tensor noise_std_TE;  // fp32 standard deviation of learned noise, with gradient; undefined without it
  bool clean_softmax = false;  // score_TE is the softmax of logit_TE itself
};

}  // namespace moelab::worker
