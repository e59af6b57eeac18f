#include "worker/optim/freeze.h"

#include <string>

namespace moelab::worker {
namespace {

bool is_frozen(const std::string& name, const core::TrainConfig& train) {
  const auto names_part = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (names_part(".moe.experts.") || names_part(".moe.shared.")) return train.freeze_experts;
  if (names_part(".moe.router.")) return train.freeze_router;
  return train.freeze_trunk;
}

}  // namespace

void freeze(torch::nn::Module& model, const core::TrainConfig& train) {
  for (auto& item : model.named_parameters()) {
    if (is_frozen(item.key(), train)) item.value().requires_grad_(false);
  }
}

}  // namespace moelab::worker
