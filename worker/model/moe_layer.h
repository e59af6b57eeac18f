// Owns a mixture-of-experts feed-forward layer: router, routed experts, shared experts. Called by block.
#pragma once

#include <torch/torch.h>

#include <memory>

#include "worker/model/experts.h"
#include "worker/model/feed_forward.h"
#include "worker/routing/router.h"

namespace moelab::worker {

class MoeLayer : public torch::nn::Module {
 public:
  explicit MoeLayer(const RouterParts& parts);

  struct Output {
    torch::Tensor y_TD;  // fp32: routed experts by combine weight, plus the ungated shared experts
    Route route;
  };
  Output forward(const torch::Tensor& x_TD, const RouterContext& context) const;

  Router& router() const { return *router_; }

 private:
  std::shared_ptr<Router> router_;
  std::shared_ptr<Experts> experts_;
  std::shared_ptr<FeedForward> shared_;  // S experts of one width are exactly one network of S times the width; null for S = 0
};

}  // namespace moelab::worker
