#include "worker/model/block.h"

#include "worker/ops/rms_norm.h"

namespace moelab::worker {

Block::Block(const core::RunConfig& config, const core::ModelShape& shape) : Block(-1, config, shape) {}

Block::Block(int layer, const core::RunConfig& config, const core::ModelShape& shape) : layer_(layer), eps_(config.model.rms_norm_eps) {
  norm_attn_ = register_module("norm_attn", std::make_shared<Weight>(torch::IntArrayRef{shape.hidden}));
  attn_ = register_module("attn", std::make_shared<Attention>(shape, config.model.rms_norm_eps));
  norm_mlp_ = register_module("norm_mlp", std::make_shared<Weight>(torch::IntArrayRef{shape.hidden}));
  if (layer >= 0 && shape.moe_layer.at(static_cast<std::size_t>(layer))) {
    moe_ = register_module("moe", std::make_shared<MoeLayer>(RouterParts{config, shape, layer}));
  } else {
    mlp_ = register_module("mlp", std::make_shared<FeedForward>(shape.hidden, shape.dense_width));
  }
}

ResidualStream Block::forward(const ResidualStream& stream, ForwardPass& pass) const {
  const auto before_attn = add_rms_norm(stream.sum_TD, stream.delta_TD, norm_attn_->value, eps_, pass.compute_type);
  const auto attended_TD = pass.cache != nullptr ? attn_->forward(before_attn.normed_TD, pass.rope, pass.spans, layer_, *pass.cache)
                                                 : attn_->forward(before_attn.normed_TD, pass.router.sequences, pass.rope);
  const auto before_mlp = add_rms_norm(before_attn.sum_TD, attended_TD, norm_mlp_->value, eps_, pass.compute_type);
  if (mlp_) return {before_mlp.sum_TD, mlp_->forward(before_mlp.normed_TD)};
  auto output = moe_->forward(before_mlp.normed_TD, pass.router);
  pass.routes.push_back(std::move(output.route));
  return {before_mlp.sum_TD, output.y_TD};
}

}  // namespace moelab::worker
