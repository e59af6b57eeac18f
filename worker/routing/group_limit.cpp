#include "worker/routing/group_limit.h"

#include <limits>

#include "worker/routing/top_k.h"

namespace moelab::worker {

torch::Tensor limit_to_groups(const torch::Tensor& selection_TE, const GroupLimit& limit) {
  if (limit.allowed == limit.groups) return selection_TE;
  torch::NoGradGuard no_grad;
  const auto tokens = selection_TE.size(0), size = selection_TE.size(1) / limit.groups;
  const auto by_group_TGs = selection_TE.view({tokens, limit.groups, size});
  const auto score_TG = limit.score == core::GroupScore::max ? by_group_TGs.amax(2) : std::get<0>(by_group_TGs.topk(2, /*dim=*/2)).sum(2);
  const auto best_TM = select_top_k(score_TG.contiguous(), limit.allowed);
  const auto barred_TG = torch::ones_like(score_TG, torch::kBool).scatter_(1, best_TM, false);
  return by_group_TGs.masked_fill(barred_TG.unsqueeze(2), -std::numeric_limits<double>::infinity()).view_as(selection_TE);
}

}  // namespace moelab::worker
