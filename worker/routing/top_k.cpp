#include "worker/routing/top_k.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <limits>
#include <vector>

namespace moelab::worker {
namespace {

// A row has at most a few hundred experts and K is small, so one pass that keeps a sorted list of the K best beats any
// sort of the whole row. A later equal entry never moves ahead of an earlier one: ties go to the lower index.
template <class Real>
void top_k_rows(const Real* selection, std::int64_t rows, std::int64_t experts, std::int64_t k, std::int64_t* out) {
  at::parallel_for(0, rows, 512, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Real> best(static_cast<std::size_t>(k));
    for (std::int64_t row = begin; row < end; ++row) {
      const Real* values = selection + row * experts;
      std::int64_t* chosen = out + row * k;
      std::int64_t filled = 0;
      for (std::int64_t e = 0; e < experts; ++e) {
        const Real value = std::isnan(values[e]) ? -std::numeric_limits<Real>::infinity() : values[e];
        if (filled == k && !(value > best[k - 1])) continue;
        std::int64_t slot = filled < k ? filled++ : k - 1;
        for (; slot > 0 && value > best[slot - 1]; --slot) {
          best[slot] = best[slot - 1];
          chosen[slot] = chosen[slot - 1];
        }
        best[slot] = value;
        chosen[slot] = e;
      }
    }
  });
}

}  // namespace

torch::Tensor select_top_k(const torch::Tensor& selection_TE, std::int64_t k) {
  TORCH_CHECK(selection_TE.dim() == 2 && k >= 1 && k <= selection_TE.size(1), "select_top_k: needs [T, E] and 1 <= k <= E");
  if (!selection_TE.is_cpu()) return select_top_k_by_sort(selection_TE, k);
  torch::NoGradGuard no_grad;
  const auto selection = selection_TE.contiguous();
  auto expert_TK = torch::empty({selection.size(0), k}, torch::kInt64);
  AT_DISPATCH_FLOATING_TYPES(selection.scalar_type(), "select_top_k", [&] {
    top_k_rows(selection.const_data_ptr<scalar_t>(), selection.size(0), selection.size(1), k, expert_TK.mutable_data_ptr<std::int64_t>());
  });
  return expert_TK;
}

torch::Tensor select_top_k_by_sort(const torch::Tensor& selection_TE, std::int64_t k) {
  torch::NoGradGuard no_grad;
  const double lowest = -std::numeric_limits<double>::infinity();
  const auto ranked = selection_TE.masked_fill(selection_TE.isnan(), lowest);
  const auto order = std::get<1>(ranked.sort(/*stable=*/true, /*dim=*/1, /*descending=*/true));
  return order.narrow(1, 0, k).contiguous();
}

torch::Tensor count_assignments(const torch::Tensor& expert_TK, std::int64_t experts) {
  torch::NoGradGuard no_grad;
  const auto slots = expert_TK.size(1);
  const auto options = expert_TK.options();
  // bincount would synchronise with the host to learn the largest id; integer additions are order-free, so exact.
  const auto flat = (expert_TK + torch::arange(slots, options) * experts).reshape({-1});
  auto count = torch::zeros({slots * experts}, options);
  count.scatter_add_(0, flat, torch::ones({1}, options).expand_as(flat));
  return count.view({slots, experts});
}

}  // namespace moelab::worker
