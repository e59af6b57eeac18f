// Owns the interface of a routing strategy. One implementation a file (worker/routing/<name>.cpp), registered by one
// line in core/routing_strategies.def; `make_router` finds it by configuration. Called by model/moe_layer.
// A strategy <name> defines `std::shared_ptr<Router> make_<name>(const RouterParts&)`.
// Shapes: T tokens, D model width, E experts.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "core/config.h"
#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

// Where training stands: what every random choice of a router is a function of, beside the seed and the layer, so that a
// resumed run draws what an uninterrupted one would.
struct StepPosition {
  std::int64_t step = 0;  // optimiser steps completed
  std::int64_t max_steps = 1;
  std::int64_t micro_batch = 0;  // within the step
};

struct RouterContext {
  bool training = false;       // noise and capacity_factor in training, eval_capacity_factor otherwise
  bool generating = false;     // always dropless
  bool causal = true;          // false in evaluation: a strategy that looks at other tokens may (expert choice)
  std::int64_t sequences = 1;  // B; T is a multiple of it
  torch::Tensor ids_T = {};    // int64 token ids; read by hash routing
  StepPosition position = {};
};

struct RouterParts {
  const core::RunConfig& config;
  const core::ModelShape& shape;
  int layer = 0;  // index of the transformer block
};

// Parameters: `weight_ED` [E, D] fp32 (checkpoint name router.weight), zero until the model draws or loads it: only the
// model knows its place in the seeded order of initialisation. Buffers: `bias_E` [E] fp32, zero, when lb_gamma > 0.
// Strategies without a learned router (hash, random fresh) have neither.
class Router : public torch::nn::Module {
 public:
  // x_TD: [T, D] in the run's activation type. All router maths in fp32 unless moe.router_dtype = autocast.
  // Ties go to the lower expert index.
  virtual Route route(const torch::Tensor& x_TD, const RouterContext& context) = 0;

  // int64 [V]: how often each token id occurs in the training data. Read by balanced hash routing.
  virtual void set_token_frequency(const torch::Tensor&) {}

  torch::Tensor weight_ED;
  torch::Tensor bias_E;  // undefined without bias control; never has a gradient

 protected:
  explicit Router(const RouterParts& parts, bool learned = true);

  // fp32 x W^T [T, E]; a double model (gradient checks) stays double.
  torch::Tensor logits(const torch::Tensor& x_TD, const torch::Tensor& matrix_ED) const;
  // What is kept under the capacity factor of the context, written to keep_TK and dropped. selection_TE ranks for drop_policy score.
  void limit_to_capacity(Route& route, const torch::Tensor& selection_TE, const RouterContext& context) const;
  // A generator whose draws are a function of seed, layer and position alone.
  at::Generator generator(const StepPosition& position) const;

  const core::MoeConfig moe_;
  const core::ModelShape shape_;

 private:
  bool low_precision_;
  std::uint64_t seed_;
};

std::shared_ptr<Router> make_router(const RouterParts& parts);

}  // namespace moelab::worker
