#include "core/model_shape.h"

#include <algorithm>
#include <cassert>

namespace moelab::core {
namespace {

std::vector<bool> moe_layers(const RunConfig& config) {
  const MoeConfig& moe = config.moe;
  std::vector<bool> is_moe(static_cast<std::size_t>(config.model.num_hidden_layers), false);
  for (std::size_t i = 0; i < is_moe.size(); ++i) {
    const auto layer = static_cast<std::int64_t>(i);
    if (moe.moe_layers) {
      is_moe[i] = std::find(moe.moe_layers->begin(), moe.moe_layers->end(), layer) != moe.moe_layers->end();
    } else {
      is_moe[i] = layer >= moe.skip_first_n_moe && (layer - moe.moe_offset) % moe.moe_stride == 0;
    }
  }
  return is_moe;
}

}  // namespace

std::int64_t ModelShape::moe_layer_count() const {
  return std::count(moe_layer.begin(), moe_layer.end(), true);
}

ModelShape model_shape(const RunConfig& config) {
  const ModelConfig& model = config.model;
  const MoeConfig& moe = config.moe;
  ModelShape shape;
  shape.vocab = model.vocab_size;
  shape.hidden = model.hidden_size;
  shape.layers = model.num_hidden_layers;
  shape.heads = model.num_attention_heads;
  shape.kv_heads = model.num_key_value_heads.value_or(model.num_attention_heads);
  shape.head_dim = model.head_dim.value_or(model.hidden_size / model.num_attention_heads);
  if (model.qk_norm == QkNorm::head) shape.query_norm = shape.key_norm = shape.head_dim;
  if (model.qk_norm == QkNorm::full) {
    shape.query_norm = shape.heads * shape.head_dim;
    shape.key_norm = shape.kv_heads * shape.head_dim;
  }
  shape.dense_width = model.intermediate_size;
  shape.expert_width = moe.moe_intermediate_size.value_or(model.intermediate_size);
  shape.shared_width = moe.shared_intermediate_size.value_or(shape.expert_width);
  shape.moe_layer.assign(static_cast<std::size_t>(shape.layers), false);
  assert(shape.heads % shape.kv_heads == 0 && shape.head_dim % 2 == 0 && shape.head_dim > 0);
  if (moe.num_experts <= 1) return shape;

  shape.experts = moe.num_experts;
  shape.active = moe.num_active_experts;
  shape.groups = moe.n_group;
  shape.shared = moe.num_shared_experts;
  shape.moe_layer = moe_layers(config);
  shape.bias_control = moe.lb_gamma > 0;
  shape.mtp_depth = moe.mtp_depth;
  shape.learned_router = moe.routing != Routing::hash && !(moe.routing == Routing::random && moe.random_mode == RandomMode::fresh);
  shape.router_noise_matrix = moe.router_noise == RouterNoise::learned;
  const bool score_bias = shape.bias_control && moe.lb_bias_target == BiasTarget::score;
  shape.sigmoid_scores = moe.score_fn == ScoreFn::sigmoid || (moe.score_fn == ScoreFn::automatic && score_bias);
  shape.normalize_topk = moe.norm_topk_prob == NormTopk::yes || (moe.norm_topk_prob == NormTopk::automatic && shape.active > 1);
  assert(shape.active <= shape.experts && shape.moe_layer_count() > 0);
  return shape;
}

}  // namespace moelab::core
