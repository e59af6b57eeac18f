// Owns the balance losses over groups of experts that would share a device. Called by aux_losses.
#pragma once

#include "worker/balance/aux_losses.h"

namespace moelab::worker {

// DeepSeek-V2 (arXiv 2405.04434, eq. 26-31), G groups of E/G experts, M = topk_group, mean over MoE layers, both 1 at balance:
// sum_i f'_i P'_i with P'_i = sum of P_e over the group. Devices are virtual: one GPU can compute it.
//   device         f'_i = mean over the group of E c_e / (K T): how much a device computes
//   communication  f'_i = G / (M T) * tokens with at least one expert in group i: how much a device receives
torch::Tensor device_balance_loss(const AuxInputs& inputs);
torch::Tensor communication_balance_loss(const AuxInputs& inputs);

}  // namespace moelab::worker
