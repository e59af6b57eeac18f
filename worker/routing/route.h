// Owns what a router decides for one MoE layer and one micro-batch; made by Router, used by the experts, the losses,
// the bias controller and the load meter.
// Shapes: T tokens of the micro-batch (B*L flattened), E routed experts, K active experts.
#pragma once

#include <torch/torch.h>

namespace moelab::worker {

struct Route {
  torch::Tensor expert_TK;  // int64, k-th ranked choice of each token
  torch::Tensor weight_TK;  // fp32 combine weights; gradient flows to the router
  torch::Tensor keep_TK;    // bool, false = dropped for capacity; undefined = dropless
  torch::Tensor logit_TE;   // fp32 clean router logits, with gradient
  torch::Tensor score_TE;   // fp32 softmax or sigmoid of the logits, with gradient
  torch::Tensor count_KE;   // int64 assignments per slot and expert, before drops
};

}  // namespace moelab::worker
