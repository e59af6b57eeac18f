#include "worker/model/language_model.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "core/error.h"
#include "worker/balance/aux_losses.h"
#include "worker/balance/policy_gradient.h"
#include "worker/model/block.h"
#include "worker/model/initial_draw.h"
#include "worker/model/prediction_module.h"
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
  std::vector<std::shared_ptr<PredictionModule>> predictors;  // multi-token prediction, in training only
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

  // The learned router matrices in layer order.
  std::vector<torch::Tensor> router_matrices() const {
    std::vector<torch::Tensor> matrices;
    for (const auto& layer : layers) {
      if (layer->moe() != nullptr && layer->moe()->router().weight_ED.defined()) matrices.push_back(layer->moe()->router().weight_ED);
    }
    return matrices;
  }

  struct Trunk {
    torch::Tensor hidden_TD;  // residual stream after the last layer
    torch::Tensor normed_TD;  // rows of the last norm, in the compute type
  };

  Trunk trunk(const torch::Tensor& ids_BL, ForwardPass& pass) {
    const auto length = ids_BL.size(1);
    if (length > max_positions) {
      throw core::Error(core::ErrorKind::config, "model.max_position_embeddings: an input of " + std::to_string(length) +
                                                     " tokens is longer than the " + std::to_string(max_positions) +
                                                     " positions of this model; shorten the input or raise the key.");
    }
    pass.router.sequences = ids_BL.size(0);
    pass.rope = positions();
    return run_layers(ids_BL.flatten(), pass);
  }

  const RopeTable& positions() { return rope_for(embed_tokens->value.options().requires_grad(false)); }

  Trunk run_layers(const torch::Tensor& ids_T, ForwardPass& pass) const {
    pass.router.ids_T = ids_T;
    pass.compute_type = compute_type();
    ResidualStream stream{torch::embedding(embed_tokens->value, ids_T), {}};
    for (const auto& layer : layers) stream = layer->forward(stream, pass);
    const auto out = add_rms_norm(stream.sum_TD, stream.delta_TD, norm->value, config.model.rms_norm_eps, pass.compute_type);
    return {out.sum_TD, out.normed_TD};
  }

  // Mean over the modules of the mean cross-entropy of the targets they reach. Module k (from 1) sees the embedding of token
  // i+k and predicts token i+k+1; a row of targets holds token i+1 at position i.
  torch::Tensor prediction_loss(torch::Tensor hidden_TD, const torch::Tensor& targets_BL, ForwardPass& pass) const {
    const auto ahead = [&](std::int64_t by) {
      const auto length = targets_BL.size(1);
      const auto gap = torch::full({targets_BL.size(0), by}, kIgnoredTarget, targets_BL.options());
      return torch::cat({targets_BL.narrow(1, by, length - by), gap}, 1).flatten();
    };
    torch::Tensor sum;
    for (std::size_t k = 1; k <= predictors.size(); ++k) {
      const auto seen_T = ahead(static_cast<std::int64_t>(k) - 1);
      // A position that sees no token has nothing to go by; at the end of a block no other attends to it either.
      const auto target_T = ahead(static_cast<std::int64_t>(k)).masked_fill(seen_T == kIgnoredTarget, kIgnoredTarget);
      const auto out = predictors[k - 1]->forward(hidden_TD, torch::embedding(embed_tokens->value, seen_T.clamp_min(0)), pass);
      const auto valid = (target_T != kIgnoredTarget).sum().item<std::int64_t>();
      const double scale = 1 / static_cast<double>(std::max<std::int64_t>(1, valid));
      const auto ce = linear_cross_entropy(out.normed_TD, head_weight().to(out.normed_TD.scalar_type()), target_T, scale, kIgnoredTarget);
      sum = sum.defined() ? sum + ce.scaled : ce.scaled;
      hidden_TD = out.hidden_TD;
    }
    return sum / static_cast<double>(predictors.size());
  }

  // fp32 logits of rows of the last norm; a double model's stay double.
  torch::Tensor head(const torch::Tensor& x_TD) const {
    const auto logits_TV = torch::linear(x_TD, head_weight().to(x_TD.scalar_type()));
    return logits_TV.to(logits_TV.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32);
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
  // Last, so that a model draws the same trunk with and without them.
  const auto predictors = std::make_shared<torch::nn::ModuleListImpl>();
  for (std::int64_t k = 0; k < shape.mtp_depth; ++k) {
    impl_->predictors.push_back(std::make_shared<PredictionModule>(config, shape));
    predictors->push_back(impl_->predictors.back());
  }
  if (!predictors->is_empty()) register_module("mtp", predictors);
  draw_weights(*this, config);
}

LanguageModel::~LanguageModel() = default;

BatchLoss LanguageModel::loss(const torch::Tensor& ids_BL, const torch::Tensor& targets_BL, const LossOptions& options) {
  const torch::AutoGradMode grad(torch::GradMode::is_enabled() && is_training());
  ForwardPass pass;
  pass.router.training = is_training();
  pass.router.causal = !options.leaky;
  pass.router.position = options.position;
  const auto trunk = impl_->trunk(ids_BL, pass);
  const auto& x_TD = trunk.normed_TD;
  const auto target_T = targets_BL.flatten();

  BatchLoss result;
  result.targets = (target_T != kIgnoredTarget).sum().item<std::int64_t>();
  const double scale = options.ce_scale > 0 ? options.ce_scale : 1 / static_cast<double>(std::max<std::int64_t>(1, result.targets));
  const auto ce = linear_cross_entropy(x_TD, impl_->head_weight().to(x_TD.scalar_type()), target_T, scale, kIgnoredTarget);
  result.total = ce.scaled;
  result.ce_sum = ce.sum;
  result.nll_T = ce.nll_T;
  if (is_training() && !impl_->predictors.empty()) {
    const auto prediction = impl_->prediction_loss(trunk.hidden_TD, targets_BL, pass);
    result.total = result.total + options.aux_scale * impl_->config.moe.mtp_coeff * prediction;
    result.aux["mtp_loss"] = prediction.detach();
  }
  if (pass.routes.empty()) return result;

  const auto aux = aux_losses({.routes = pass.routes,
                               .moe = impl_->config.moe,
                               .shape = impl_->shape,
                               .sequences = ids_BL.size(0),
                               .routers = impl_->router_matrices()});
  if (aux.weighted.defined()) result.total = result.total + options.aux_scale * aux.weighted;
  result.aux.insert(aux.values.begin(), aux.values.end());
  if (impl_->config.moe.routing == core::Routing::reinforce && is_training()) {
    const auto policy = policy_gradient_loss(pass.routes, ce.nll_T, target_T != kIgnoredTarget, options.reward_baseline, impl_->config.moe);
    result.total = result.total + options.aux_scale * policy.weighted;
    result.aux["policy_loss"] = policy.policy;
    result.mean_reward = policy.mean_reward;
  }
  for (const auto& route : pass.routes) {
    auto& seen = result.routes.emplace_back(route);
    for (auto* tensor : {&seen.weight_TK, &seen.logit_TE, &seen.score_TE, &seen.noisy_TE, &seen.noise_std_TE}) {
      if (tensor->defined()) *tensor = tensor->detach();
    }
  }
  return result;
}

torch::Tensor LanguageModel::logits(const torch::Tensor& ids_BL) {
  ForwardPass pass;
  pass.router.generating = true;
  return impl_->head(impl_->trunk(ids_BL, pass).normed_TD).view({ids_BL.size(0), ids_BL.size(1), -1});
}

KvCache LanguageModel::make_cache(std::int64_t sequences, std::int64_t capacity) const {
  const auto options = impl_->embed_tokens->value.options().requires_grad(false).dtype(impl_->compute_type());
  return {impl_->shape, sequences, std::min(capacity, impl_->max_positions), options};
}

torch::Tensor LanguageModel::next_logits(const std::vector<NewTokens>& texts, KvCache& cache) {
  const torch::NoGradGuard no_grad;
  ForwardPass pass;
  pass.router.generating = true;
  pass.cache = &cache;
  std::vector<std::int64_t> ids, positions, last_rows;
  for (const auto& text : texts) {
    const auto first = static_cast<std::int64_t>(ids.size()), count = static_cast<std::int64_t>(text.ids.size());
    const auto before = cache.length(text.sequence);
    if (before + count > cache.capacity()) {
      throw core::Error(core::ErrorKind::config, "model.max_position_embeddings: a text of " + std::to_string(before + count) +
                                                     " tokens is longer than the cache of " + std::to_string(cache.capacity()) +
                                                     "; clear it, or make it longer.");
    }
    pass.spans.push_back({text.sequence, first, count});
    ids.insert(ids.end(), text.ids.begin(), text.ids.end());
    for (std::int64_t i = 0; i < count; ++i) positions.push_back(before + i);
    last_rows.push_back(first + count - 1);
  }
  const auto device = impl_->embed_tokens->value.device();
  const auto on_device = [&](const std::vector<std::int64_t>& values) { return torch::tensor(values, torch::kInt64).to(device); };
  const auto& table = impl_->positions();
  const auto position_T = on_device(positions);
  pass.rope = {table.cos.index_select(0, position_T), table.sin.index_select(0, position_T)};
  const auto x_TD = impl_->run_layers(on_device(ids), pass).normed_TD;
  for (const auto& span : pass.spans) cache.advance(span.sequence, span.rows);
  return impl_->head(x_TD.index_select(0, on_device(last_rows)));
}

void LanguageModel::set_token_frequency(const torch::Tensor& frequency_V) {
  for (const auto& layer : impl_->layers) {
    if (layer->moe() != nullptr) layer->moe()->router().set_token_frequency(frequency_V);
  }
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
