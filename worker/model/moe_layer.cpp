#include "worker/model/moe_layer.h"

namespace moelab::worker {

MoeLayer::MoeLayer(const RouterParts& parts) {
  const auto& shape = parts.shape;
  router_ = register_module("router", make_router(parts));
  experts_ = register_module("experts", std::make_shared<Experts>(shape));
  if (shape.shared > 0) {
    shared_ = register_module("shared", std::make_shared<FeedForward>(shape.hidden, shape.shared * shape.shared_width));
  }
}

MoeLayer::Output MoeLayer::forward(const torch::Tensor& x_TD, const RouterContext& context) const {
  Output output;
  output.route = router_->route(x_TD, context);
  output.y_TD = experts_->forward(x_TD, output.route);
  if (shared_) output.y_TD = output.y_TD + shared_->forward(x_TD);
  return output;
}

}  // namespace moelab::worker
