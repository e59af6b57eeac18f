// Owns the balanced transport plan of Sinkhorn routing. Called by sinkhorn. Shapes: T tokens, E experts.
#pragma once

#include <torch/torch.h>

namespace moelab::worker {

// log v_E (fp64) of the plan diag(u) exp(z) diag(v) whose rows sum to 1/T and columns to 1/E, by Sinkhorn's iteration in the log
// domain until the mean of |v - v before| is below 1e-4, at most 100 times (Clark et al., arXiv 2202.01169; the tolerance is
// Megatron's). Within a row the plan orders experts as z + log v does. No gradient.
torch::Tensor transport_log_scale_E(const torch::Tensor& logit_TE);

}  // namespace moelab::worker
