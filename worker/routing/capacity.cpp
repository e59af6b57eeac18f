#include "worker/routing/capacity.h"

#include <algorithm>
#include <cmath>

namespace moelab::worker {
namespace {

// Assignments of each expert ranked 0, 1, 2, ... in the order of `expert_N`; true where the rank is below `capacity`.
torch::Tensor first_of_each_expert(const torch::Tensor& expert_N, std::int64_t experts, std::int64_t capacity) {
  const auto [sorted_N, order_N] = expert_N.sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  const auto ids = torch::arange(experts, expert_N.options());
  const auto first_E = torch::searchsorted(sorted_N, ids);
  const auto rank_N = torch::arange(expert_N.size(0), expert_N.options()) - first_E.index_select(0, sorted_N);
  return torch::empty_like(expert_N, torch::kBool).scatter_(0, order_N, rank_N < capacity);
}

}  // namespace

std::int64_t expert_capacity(double factor, std::int64_t tokens, std::int64_t active, std::int64_t experts, std::int64_t min_capacity) {
  const double even_share = factor * static_cast<double>(tokens) * static_cast<double>(active) / static_cast<double>(experts);
  return std::max(min_capacity, static_cast<std::int64_t>(std::floor(even_share)));
}

torch::Tensor keep_within_capacity(const torch::Tensor& expert_TK, const torch::Tensor& selection_TE, std::int64_t capacity,
                                   core::DropPolicy policy) {
  torch::NoGradGuard no_grad;
  const auto tokens = expert_TK.size(0), slots = expert_TK.size(1), experts = selection_TE.size(1);
  if (capacity >= tokens) return {};
  if (policy == core::DropPolicy::position) {
    const auto keep_KT = first_of_each_expert(expert_TK.t().reshape({-1}), experts, capacity).view({slots, tokens});
    return keep_KT.t().contiguous();
  }
  // Sort all assignments by score, then rank within each expert in that order; both sorts are stable, so equal scores stay
  // in token order.
  const auto own_N = selection_TE.gather(1, expert_TK).reshape({-1});
  const auto by_score_N = std::get<1>(own_N.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
  const auto kept_N = first_of_each_expert(expert_TK.reshape({-1}).index_select(0, by_score_N), experts, capacity);
  return torch::empty_like(kept_N).scatter_(0, by_score_N, kept_N).view({tokens, slots});
}

}  // namespace moelab::worker
