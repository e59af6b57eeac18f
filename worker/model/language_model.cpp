#include "worker/model/language_model.h"

#include <ATen/CPUGeneratorImpl.h>

#include <array>
#include <string>
#include <utility>

#include "core/error.h"
#include "worker/balance/aux_losses.h"
#include "worker/model/block.h"
#include "worker/model/weight.h"
#include "worker/ops/linear_cross_entropy.h"
#include "worker/ops/rms_norm.h"

namespace moelab::worker {

struct LanguageModel::Impl {
  core::RunConfig config;
  core::ModelShape shape;
  std::int64_t max_positions;
  std::shared_ptr<Weight> embed_tokens, norm, lm_head;  // lm_head is null when tied
  std::vector<std::shared_ptr<Block>> layers;
  RopeTable rope;  // follows the parameters' device and type; not a buffer, because it is a function of the configuration

  explicit Impl(const core::RunConfig& run)
      : config(run), shape(core::model_shape(run)), max_positions(run.model.max_position_embeddings.value_or(run.data.block_size)) {}

  const torch::Tensor& head_weight() const { return lm_head ? lm_head->value : embed_tokens->value; }

  torch::ScalarType compute_type() const {
    const auto master = embed_tokens->value.scalar_type();
    // A double model is a model under gradient check: nothing in it may be rounded.
    return config.train.precision == core::Precision::bf16 && master == torch::kFloat32 ? torch::kBFloat16 : master;
  }

  const RopeTable& rope_for(const torch::TensorOptions& options) {
    if (!rope.cos.defined() || rope.cos.device() != options.device() || rope.cos.dtype() != options.dtype()) {
      rope = rope_table(max_positions, shape.head_dim, config.model.rope_theta, options);
    }
    return rope;
  }

  void draw_weights(const torch::nn::Module& model) const {
    const torch::NoGradGuard no_grad;
    const auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(config.seed));
    for (const auto& item : model.named_parameters()) {
      auto parameter = item.value();
      if (parameter.dim() == 1) {
        parameter.fill_(1);
      } else {
        parameter.normal_(0, config.model.initializer_range, generator);
      }
    }
  }

  // Rows of the last norm, [T, D] in the compute type.
  torch::Tensor trunk(const torch::Tensor& ids_BL, ForwardPass& pass) {
    const auto length = ids_BL.size(1);
    if (length > max_positions) {
      throw core::Error(core::ErrorKind::config, "model.max_position_embeddings: an input of " + std::to_string(length) +
                                                     " tokens is longer than the " + std::to_string(max_positions) +
                                                     " positions of this model; shorten the input or raise the key.");
    }
    pass.batch = ids_BL.size(0);
    pass.compute_type = compute_type();
    pass.rope = rope_for(embed_tokens->value.options().requires_grad(false));
    ResidualStream stream{torch::embedding(embed_tokens->value, ids_BL.flatten()), {}};
    for (const auto& layer : layers) stream = layer->forward(stream, pass);
    return add_rms_norm(stream.sum_TD, stream.delta_TD, norm->value, config.model.rms_norm_eps, pass.compute_type).normed_TD;
  }
};

LanguageModel::LanguageModel(const core::RunConfig& config) : impl_(std::make_unique<Impl>(config)) {
  const auto& shape = impl_->shape;
  const std::array<std::int64_t, 2> table{shape.vocab, shape.hidden};
  impl_->embed_tokens = register_module("embed_tokens", std::make_shared<Weight>(table));
  const auto layers = register_module("layers", std::make_shared<torch::nn::ModuleListImpl>());
  for (int i = 0; i < static_cast<int>(shape.layers); ++i) {
    impl_->layers.push_back(std::make_shared<Block>(i, config, shape));
    layers->push_back(impl_->layers.back());
  }
  impl_->norm = register_module("norm", std::make_shared<Weight>(torch::IntArrayRef{shape.hidden}));
  if (!config.model.tie_word_embeddings) impl_->lm_head = register_module("lm_head", std::make_shared<Weight>(table));
  impl_->draw_weights(*this);
}

LanguageModel::~LanguageModel() = default;

BatchLoss LanguageModel::loss(const torch::Tensor& ids_BL, const torch::Tensor& targets_BL, const LossOptions& options) {
  const torch::AutoGradMode grad(torch::GradMode::is_enabled() && is_training());
  ForwardPass pass;
  pass.training = is_training();
  const auto x_TD = impl_->trunk(ids_BL, pass);
  const auto target_T = targets_BL.flatten();

  BatchLoss result;
  result.targets = (target_T != kIgnoredTarget).sum().item<std::int64_t>();
  const double scale = options.ce_scale > 0 ? options.ce_scale : 1 / static_cast<double>(std::max<std::int64_t>(1, result.targets));
  const auto ce = linear_cross_entropy(x_TD, impl_->head_weight().to(x_TD.scalar_type()), target_T, scale, kIgnoredTarget);
  result.total = ce.scaled;
  result.ce_sum = ce.sum;
  if (pass.routes.empty()) return result;

  const auto aux = aux_losses(pass.routes, impl_->config.moe, impl_->shape);
  if (aux.weighted.defined()) result.total = result.total + options.aux_scale * aux.weighted;
  result.lb_loss = aux.lb_loss;
  result.z_loss = aux.z_loss;
  for (const auto& route : pass.routes) {
    result.routes.push_back({.expert_TK = route.expert_TK,
                             .weight_TK = route.weight_TK.detach(),
                             .keep_TK = route.keep_TK,
                             .logit_TE = route.logit_TE.detach(),
                             .score_TE = route.score_TE.detach(),
                             .count_KE = route.count_KE});
  }
  return result;
}

torch::Tensor LanguageModel::logits(const torch::Tensor& ids_BL) {
  ForwardPass pass;
  pass.generating = true;
  const auto x_TD = impl_->trunk(ids_BL, pass);
  const auto logits_TV = torch::linear(x_TD, impl_->head_weight().to(x_TD.scalar_type()));
  const auto wide = logits_TV.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return logits_TV.to(wide).view({ids_BL.size(0), ids_BL.size(1), -1});
}

std::vector<torch::Tensor> LanguageModel::expert_biases() {
  std::vector<torch::Tensor> biases;
  for (const auto& layer : impl_->layers) {
    if (layer->moe() != nullptr && layer->moe()->router().bias_E.defined()) biases.push_back(layer->moe()->router().bias_E);
  }
  return biases;
}

const core::ModelShape& LanguageModel::shape() const {
  return impl_->shape;
}
const core::RunConfig& LanguageModel::config() const {
  return impl_->config;
}

}  // namespace moelab::worker
