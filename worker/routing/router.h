// Owns the interface of a routing strategy. One implementation a file (worker/routing/<name>.cpp), registered by one
// line in core/routing_strategies.def; `make_router` finds it by configuration. Called by model/moe_layer.
// A strategy <name> defines `std::shared_ptr<Router> make_<name>(const core::RunConfig&, const core::ModelShape&)`.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "core/config.h"
#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

struct RouterContext {
  int layer = 0;            // index of the transformer block
  bool training = false;    // capacity_factor in training, eval_capacity_factor otherwise
  bool generating = false;  // always dropless
};

// Parameters: `weight_ED` [E, D] fp32 (checkpoint name router.weight), zero until the model draws or loads it: only the
// model knows its place in the seeded order of initialisation. Buffers: `bias_E` [E] fp32, zero, when lb_gamma > 0.
class Router : public torch::nn::Module {
 public:
  explicit Router(const core::ModelShape& shape);

  // x_TD: [T, D] in the run's activation type. All router maths in fp32 unless moe.router_dtype = autocast.
  // Ties go to the lower expert index.
  virtual Route route(const torch::Tensor& x_TD, const RouterContext& context) = 0;

  torch::Tensor weight_ED;
  torch::Tensor bias_E;  // undefined without bias control; never has a gradient
};

std::shared_ptr<Router> make_router(const core::RunConfig& config, const core::ModelShape& shape);

}  // namespace moelab::worker
