// Shapes: T tokens, K choices, E experts, D width, N = kept assignments.
#include "worker/ops/dispatch.h"

#include <cstring>

#include "worker/ops/cpu_vector.h"

namespace moelab::worker {
namespace {

MOELAB_CPU_CLONES void sum_rows(const float* sorted, const std::int64_t* rows, std::int64_t choices, float* out, std::int64_t width) {
  bool empty = true;
  for (std::int64_t k = 0; k < choices; ++k) {
    if (rows[k] < 0) continue;
    const float* x = sorted + rows[k] * width;
    if (empty) {
      for (std::int64_t j = 0; j < width; ++j) out[j] = x[j];
    } else {
      for (std::int64_t j = 0; j < width; ++j) out[j] += x[j];
    }
    empty = false;
  }
  if (empty) std::memset(out, 0, static_cast<std::size_t>(width) * sizeof(float));
}

}  // namespace

Dispatch dispatch_by_expert(const torch::Tensor& expert_TK, const torch::Tensor& keep_TK, std::int64_t experts) {
  if (!expert_TK.is_cpu()) return dispatch_by_sort(expert_TK, keep_TK, experts);
  const auto expert_contiguous = expert_TK.contiguous(), keep_contiguous = keep_TK.defined() ? keep_TK.contiguous() : keep_TK;
  const auto* expert = expert_contiguous.const_data_ptr<std::int64_t>();
  const bool* keep = keep_contiguous.defined() ? keep_contiguous.const_data_ptr<bool>() : nullptr;
  const auto slots = expert_TK.numel(), choices = expert_TK.size(1);

  Dispatch result;
  result.begin.assign(static_cast<std::size_t>(experts) + 1, 0);
  for (std::int64_t i = 0; i < slots; ++i) {
    TORCH_CHECK(expert[i] >= 0 && expert[i] < experts, "expert id ", expert[i], " outside 0..", experts - 1);
    if (keep == nullptr || keep[i]) ++result.begin[static_cast<std::size_t>(expert[i]) + 1];
  }
  for (std::size_t e = 0; e < static_cast<std::size_t>(experts); ++e) result.begin[e + 1] += result.begin[e];
  const auto kept = result.begin.back();
  result.token_N = torch::empty({kept}, expert_TK.options());
  result.slot_N = torch::empty({kept}, expert_TK.options());
  result.row_TK = torch::empty_like(expert_contiguous);
  auto *token = result.token_N.mutable_data_ptr<std::int64_t>(), *slot = result.slot_N.mutable_data_ptr<std::int64_t>();
  auto* row = result.row_TK.mutable_data_ptr<std::int64_t>();
  auto next = result.begin;
  for (std::int64_t i = 0; i < slots; ++i) {
    if (keep != nullptr && !keep[i]) {
      row[i] = -1;
      continue;
    }
    const auto n = next[static_cast<std::size_t>(expert[i])]++;
    token[n] = i / choices;
    slot[n] = i;
    row[i] = n;
  }
  result.offset_E = torch::empty({experts}, torch::kInt32);
  for (std::int64_t e = 0; e < experts; ++e) {
    result.offset_E.mutable_data_ptr<std::int32_t>()[e] = static_cast<std::int32_t>(result.begin[static_cast<std::size_t>(e) + 1]);
  }
  return result;
}

Dispatch dispatch_by_sort(const torch::Tensor& expert_TK, const torch::Tensor& keep_TK, std::int64_t experts) {
  const auto choices = expert_TK.size(1);
  // Dropped assignments sort behind the last expert and are cut off.
  auto key = expert_TK.flatten();
  if (keep_TK.defined()) key = torch::where(keep_TK.flatten(), key, experts);
  const auto order = key.argsort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  const auto end_E = torch::bincount(key, {}, experts + 1).cumsum(0).slice(0, 0, experts);
  const auto kept = keep_TK.defined() ? end_E[experts - 1].item<std::int64_t>() : key.numel();

  Dispatch result;
  result.slot_N = order.slice(0, 0, kept).contiguous();
  result.token_N = result.slot_N.floor_divide(choices);
  result.row_TK = torch::full({key.numel()}, -1, key.options());
  result.row_TK.scatter_(0, result.slot_N, torch::arange(kept, key.options()));
  result.row_TK = result.row_TK.view_as(expert_TK);
  result.offset_E = end_E.to(torch::kInt32);
  if (expert_TK.is_cpu()) {
    result.begin.push_back(0);
    for (std::int64_t e = 0; e < experts; ++e) result.begin.push_back(end_E[e].item<std::int64_t>());
  }
  return result;
}

torch::Tensor gather_rows(const torch::Tensor& rows_TD, const Dispatch& dispatch) {
  return rows_TD.index_select(0, dispatch.token_N);
}

torch::Tensor combine_rows(const torch::Tensor& sorted_ND, const Dispatch& dispatch, torch::ScalarType out_type) {
  const auto tokens = dispatch.row_TK.size(0), choices = dispatch.row_TK.size(1), width = sorted_ND.size(1);
  if (sorted_ND.is_cpu() && sorted_ND.scalar_type() == torch::kFloat32 && out_type == torch::kFloat32) {
    const auto sorted_contiguous = sorted_ND.contiguous();
    auto out_TD = torch::empty({tokens, width}, sorted_ND.options());
    const float* sorted = sorted_contiguous.const_data_ptr<float>();
    const auto* row = dispatch.row_TK.const_data_ptr<std::int64_t>();
    float* out = out_TD.mutable_data_ptr<float>();
    cpu::parallel_rows(tokens, width * choices, [&](std::int64_t first, std::int64_t last) {
      for (auto t = first; t < last; ++t) sum_rows(sorted, row + t * choices, choices, out + t * width, width);
    });
    return out_TD;
  }
  const auto wide = sorted_ND.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  // Row N is zero: what a dropped assignment adds.
  const auto padded = torch::cat({sorted_ND, torch::zeros({1, width}, sorted_ND.options())});
  const auto row_TK = torch::where(dispatch.row_TK < 0, sorted_ND.size(0), dispatch.row_TK);
  return padded.index_select(0, row_TK.flatten()).view({tokens, choices, width}).sum(1, false, wide).to(out_type);
}

}  // namespace moelab::worker
