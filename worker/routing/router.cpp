#include "worker/routing/router.h"

#include <ATen/CPUGeneratorImpl.h>

#include "core/error.h"
#include "worker/data/portable_random.h"
#include "worker/routing/capacity.h"

namespace moelab::worker {

#define MOELAB_ROUTING(name, doc) std::shared_ptr<Router> make_##name(const RouterParts& parts);
#include "core/routing_strategies.def"
#undef MOELAB_ROUTING

Router::Router(const RouterParts& parts, bool learned)
    : moe_(parts.config.moe),
      shape_(parts.shape),
      low_precision_(parts.config.train.precision == core::Precision::bf16 && moe_.router_dtype == core::RouterDtype::autocast),
      seed_(random64(static_cast<std::uint64_t>(parts.config.seed), RandomStream::routing, static_cast<std::uint64_t>(parts.layer), 0)) {
  if (!learned) return;
  weight_ED = register_parameter("weight", torch::zeros({shape_.experts, shape_.hidden}));
  if (shape_.bias_control) bias_E = register_buffer("bias", torch::zeros({shape_.experts}));
}

torch::Tensor Router::logits(const torch::Tensor& x_TD, const torch::Tensor& matrix_ED) const {
  const auto master = matrix_ED.scalar_type();
  if (low_precision_) return torch::linear(x_TD.to(torch::kBFloat16), matrix_ED.to(torch::kBFloat16)).to(master);
  return torch::linear(x_TD.to(master), matrix_ED);
}

void Router::limit_to_capacity(Route& route, const torch::Tensor& selection_TE, const RouterContext& context) const {
  const double factor = context.generating ? 0 : context.training ? moe_.capacity_factor : moe_.eval_capacity_factor;
  if (factor == 0) return;
  const auto tokens = route.expert_TK.size(0);
  const auto capacity = expert_capacity(factor, tokens, shape_.active, shape_.experts, moe_.min_capacity);
  route.keep_TK = keep_within_capacity(route.expert_TK, selection_TE, capacity, moe_.drop_policy);
  if (route.keep_TK.defined()) route.dropped = route.keep_TK.logical_not().sum();
}

at::Generator Router::generator(const StepPosition& position) const {
  return at::detail::createCPUGenerator(
      random64(seed_, RandomStream::routing, static_cast<std::uint64_t>(position.step), static_cast<std::uint64_t>(position.micro_batch)));
}

std::shared_ptr<Router> make_router(const RouterParts& parts) {
  switch (parts.config.moe.routing) {
#define MOELAB_ROUTING(name, doc) \
  case core::Routing::name:       \
    return make_##name(parts);
#include "core/routing_strategies.def"
#undef MOELAB_ROUTING
  }
  throw core::Error(core::ErrorKind::internal, "moe.routing holds a value outside core/routing_strategies.def");
}

}  // namespace moelab::worker
