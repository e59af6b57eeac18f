#include "worker/balance/aux_losses.h"

#include <algorithm>

#include "worker/balance/cv_loss.h"
#include "worker/balance/group_balance.h"
#include "worker/balance/load_balance.h"
#include "worker/balance/orthogonality.h"
#include "worker/balance/router_z.h"
#include "worker/balance/sequence_balance.h"

namespace moelab::worker {
namespace {

struct AuxLoss {
  const char* name;
  double core::MoeConfig::*coefficient;
  torch::Tensor (*compute)(const AuxInputs&);  // scalar, mean over MoE layers
  bool always_reported;
};

constexpr AuxLoss kLosses[] = {
    {"lb_loss", &core::MoeConfig::lb_coeff, load_balance_loss, true},
    {"z_loss", &core::MoeConfig::z_loss_coeff, router_z_loss, true},
    {"seq_aux_loss", &core::MoeConfig::seq_aux_coeff, sequence_balance_loss, false},
    {"device_loss", &core::MoeConfig::device_coeff, device_balance_loss, false},
    {"comm_loss", &core::MoeConfig::comm_coeff, communication_balance_loss, false},
    {"orth_loss", &core::MoeConfig::orth_coeff, orthogonality_loss, false},
    {"cv_importance_loss", &core::MoeConfig::cv_importance_coeff, cv_importance_loss, false},
    {"cv_load_loss", &core::MoeConfig::cv_load_coeff, cv_load_loss, false},
};

}  // namespace

AuxLosses aux_losses(const AuxInputs& inputs) {
  AuxLosses losses;
  const auto& routes = inputs.routes;
  if (routes.empty() || !std::all_of(routes.begin(), routes.end(), [](const Route& route) { return route.logit_TE.defined(); })) {
    return losses;
  }
  for (const auto& loss : kLosses) {
    const double coefficient = inputs.moe.*loss.coefficient;
    if (coefficient == 0 && !loss.always_reported) continue;
    torch::AutoGradMode grad(torch::GradMode::is_enabled() && coefficient > 0);  // a loss that is only reported needs no graph
    const torch::Tensor value = loss.compute(inputs);
    if (coefficient > 0) losses.weighted = losses.weighted.defined() ? losses.weighted + coefficient * value : coefficient * value;
    losses.values[loss.name] = value.detach();
  }
  return losses;
}

}  // namespace moelab::worker
