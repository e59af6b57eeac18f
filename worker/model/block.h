// Owns one transformer block: attention and a feed-forward network (dense or MoE), each after a norm. Called by language_model.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/config.h"
#include "core/model_shape.h"
#include "worker/model/attention.h"
#include "worker/model/feed_forward.h"
#include "worker/model/kv_cache.h"
#include "worker/model/moe_layer.h"
#include "worker/model/weight.h"

namespace moelab::worker {

// The residual stream between blocks: `sum` plus what the last sub-layer still has to add. The addition waits for the next
// norm, which reads and writes the same rows anyway.
struct ResidualStream {
  torch::Tensor sum_TD;    // fp32
  torch::Tensor delta_TD;  // undefined before the first block
};

// What every block of one forward pass shares.
struct ForwardPass {
  torch::ScalarType compute_type = torch::kFloat32;
  RouterContext router;      // its `sequences` is the B of attention too
  RopeTable rope;            // by position; with a cache, by row
  KvCache* cache = nullptr;  // the rows follow what it holds of the sequences of `spans`; null = whole sequences
  std::vector<CacheSpan> spans;
  std::vector<Route> routes;  // filled by the MoE layers, in layer order
};

class Block : public torch::nn::Module {
 public:
  // Layer number `layer` of the model, dense or MoE as the shape says.
  Block(int layer, const core::RunConfig& config, const core::ModelShape& shape);
  // A dense block outside the numbered layers.
  Block(const core::RunConfig& config, const core::ModelShape& shape);

  ResidualStream forward(const ResidualStream& stream, ForwardPass& pass) const;
  const MoeLayer* moe() const { return moe_.get(); }  // null in a dense layer

 private:
  int layer_;  // -1 outside the numbered layers
  double eps_;
  std::shared_ptr<Weight> norm_attn_, norm_mlp_;
  std::shared_ptr<Attention> attn_;
  std::shared_ptr<FeedForward> mlp_;  // exactly one of mlp_ and moe_ exists
  std::shared_ptr<MoeLayer> moe_;
};

}  // namespace moelab::worker
