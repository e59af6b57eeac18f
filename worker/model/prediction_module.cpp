#include "worker/model/prediction_module.h"

#include "worker/ops/rms_norm.h"

namespace moelab::worker {

PredictionModule::PredictionModule(const core::RunConfig& config, const core::ModelShape& shape) : eps_(config.model.rms_norm_eps) {
  const auto width = shape.hidden;
  norm_hidden_ = register_module("norm_hidden", std::make_shared<Weight>(torch::IntArrayRef{width}));
  norm_embed_ = register_module("norm_embed", std::make_shared<Weight>(torch::IntArrayRef{width}));
  project_ = register_module("project", std::make_shared<Weight>(torch::IntArrayRef{width, 2 * width}));
  block_ = register_module("block", std::make_shared<Block>(config, shape));
  norm_ = register_module("norm", std::make_shared<Weight>(torch::IntArrayRef{width}));
}

PredictionModule::Output PredictionModule::forward(const torch::Tensor& hidden_TD, const torch::Tensor& embedded_TD,
                                                   ForwardPass& pass) const {
  const auto type = pass.compute_type;
  const auto joined = torch::cat({add_rms_norm(hidden_TD, {}, norm_hidden_->value, eps_, type).normed_TD,
                                  add_rms_norm(embedded_TD, {}, norm_embed_->value, eps_, type).normed_TD},
                                 1);
  const auto start_TD = torch::linear(joined, project_->as(type)).to(hidden_TD.scalar_type());
  const auto stream = block_->forward({start_TD, {}}, pass);
  const auto out = add_rms_norm(stream.sum_TD, stream.delta_TD, norm_->value, eps_, type);
  return {out.sum_TD, out.normed_TD};
}

}  // namespace moelab::worker
