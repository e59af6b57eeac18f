// Owns the sequence-wise balance loss. Called by aux_losses.
#pragma once

#include "worker/balance/aux_losses.h"

namespace moelab::worker {

// DeepSeek-V3 (arXiv 2412.19437, eq. 17-20), for each sequence of L tokens: sum_e f_e P_e with f_e = E / (K L) * the tokens
// whose K best unbiased scores hold e, and P_e the mean of s_e / sum_j s_j. Mean over sequences and MoE layers; 1 at balance.
// The choice is that of the scores alone: neither expert biases nor group limits enter.
torch::Tensor sequence_balance_loss(const AuxInputs& inputs);

}  // namespace moelab::worker
