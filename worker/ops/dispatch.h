// Owns the order in which assignments of tokens to experts are computed: sorted by expert. Called by ops/moe_experts.
// Shapes: T tokens, K choices, E experts, D width, N = kept assignments (T*K without drops).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace moelab::worker {

// Stable order: by expert, then by token, then by choice. No loop over experts with masks, no atomics.
struct Dispatch {
  torch::Tensor token_N;            // int64: token of each sorted row
  torch::Tensor slot_N;             // int64: t*K + k of each sorted row
  torch::Tensor row_TK;             // int64: sorted row of each assignment, -1 = dropped
  torch::Tensor offset_E;           // int32 on the device: end of each expert's segment, what the grouped matrix product reads
  std::vector<std::int64_t> begin;  // E+1 bounds on the host, on the CPU only: what per-segment products read
};

// expert_TK: int64 in [0, E). keep_TK: bool, undefined = keep all.
Dispatch dispatch_by_expert(const torch::Tensor& expert_TK, const torch::Tensor& keep_TK, std::int64_t experts);

// The same through a stable library sort: runs on any device; on the CPU it is what the counting sort is tested against.
Dispatch dispatch_by_sort(const torch::Tensor& expert_TK, const torch::Tensor& keep_TK, std::int64_t experts);

// sorted[n] = rows[token_N[n]].
torch::Tensor gather_rows(const torch::Tensor& rows_TD, const Dispatch& dispatch);

// out[t] = sum over k of sorted[row_TK[t, k]], fp32 accumulation in the order of k; dropped assignments add nothing.
torch::Tensor combine_rows(const torch::Tensor& sorted_ND, const Dispatch& dispatch, torch::ScalarType out_type);

}  // namespace moelab::worker
