#include "worker/routing/router.h"

#include "core/error.h"

namespace moelab::worker {

#define MOELAB_ROUTING(name, doc) std::shared_ptr<Router> make_##name(const core::RunConfig& config, const core::ModelShape& shape);
#include "core/routing_strategies.def"
#undef MOELAB_ROUTING

Router::Router(const core::ModelShape& shape) {
  weight_ED = register_parameter("weight", torch::zeros({shape.experts, shape.hidden}));
  if (shape.bias_control) bias_E = register_buffer("bias", torch::zeros({shape.experts}));
}

std::shared_ptr<Router> make_router(const core::RunConfig& config, const core::ModelShape& shape) {
  switch (config.moe.routing) {
#define MOELAB_ROUTING(name, doc) \
  case core::Routing::name:       \
    return make_##name(config, shape);
#include "core/routing_strategies.def"
#undef MOELAB_ROUTING
  }
  throw core::Error(core::ErrorKind::internal, "moe.routing holds a value outside core/routing_strategies.def");
}

}  // namespace moelab::worker
