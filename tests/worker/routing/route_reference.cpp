#include "tests/worker/routing/route_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>

namespace moelab::worker::test {
namespace {

struct Assignment {
  int token, slot;
  float selection;
};

// Order in which an expert serves its assignments.
bool served_before(const Assignment& a, const Assignment& b, core::DropPolicy policy) {
  if (policy == core::DropPolicy::position) return std::tie(a.slot, a.token) < std::tie(b.slot, b.token);
  return a.selection != b.selection ? a.selection > b.selection : a.token < b.token;
}

// Experts a token may not use: those outside its best groups.
std::vector<bool> outside_best_groups(const std::vector<float>& selection, const core::MoeConfig& moe) {
  const int groups = static_cast<int>(moe.n_group), size = static_cast<int>(selection.size()) / groups;
  std::vector<std::pair<float, int>> ranked;  // minus the score, so that sorting puts the best and then the lower index first
  for (int g = 0; g < groups; ++g) {
    std::vector<float> of_group(selection.begin() + g * size, selection.begin() + (g + 1) * size);
    std::sort(of_group.rbegin(), of_group.rend());
    ranked.emplace_back(moe.group_score == core::GroupScore::max ? -of_group[0] : -(of_group[0] + of_group[1]), g);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<bool> outside(selection.size(), true);
  for (int m = 0; m < moe.topk_group; ++m) {
    for (int i = 0; i < size; ++i) outside[ranked[m].second * size + i] = false;
  }
  return outside;
}

}  // namespace

std::vector<double> reference_scores(const std::vector<float>& logits, bool sigmoid) {
  std::vector<double> score;
  double sum = 0;
  for (double z : logits) sum += std::exp(z);
  for (double z : logits) score.push_back(sigmoid ? 1 / (1 + std::exp(-z)) : std::exp(z) / sum);
  return score;
}

ReferenceRoute reference_route(const Rows& scores, const Rows& logits, const std::vector<float>& bias, const core::MoeConfig& moe,
                               const ReferenceOptions& options) {
  const int T = static_cast<int>(scores.size()), E = static_cast<int>(moe.num_experts), K = static_cast<int>(moe.num_active_experts);
  ReferenceRoute route;
  route.count.assign(K, std::vector<long>(E, 0));
  std::vector<std::vector<Assignment>> of_expert(E);
  for (int t = 0; t < T; ++t) {
    const auto& score = scores[t];
    std::vector<float> selection = moe.lb_bias_target == core::BiasTarget::logit ? logits[t] : score;
    for (int e = 0; !bias.empty() && e < E; ++e) selection[e] += bias[e];
    std::vector<bool> taken = outside_best_groups(selection, moe);
    std::vector<int> chosen;
    double sum = 0;
    for (int k = 0; k < K; ++k) {
      int best = -1;
      for (int e = 0; e < E; ++e) {
        if (!taken[e] && (best < 0 || selection[e] > selection[best])) best = e;
      }
      taken[best] = true;
      chosen.push_back(best);
      sum += score[best];
      ++route.count[k][best];
      of_expert[best].push_back({t, k, selection[best]});
    }
    std::vector<double> weight;
    for (int e : chosen) {
      double w = score[e];
      if (K == 1 && moe.top1_gate != core::Top1Gate::prob) {
        w = 1;
      } else if (options.normalize) {
        w /= sum + (options.sigmoid ? 1e-20 : 0);
      }
      weight.push_back(w * moe.routed_scaling_factor);
    }
    route.expert.push_back(chosen);
    route.weight.push_back(weight);
  }
  route.keep.assign(T, std::vector<bool>(K, true));
  if (options.capacity_factor == 0) return route;
  const auto even_share = static_cast<long>(std::floor(options.capacity_factor * T * K / E));
  const auto capacity = static_cast<std::size_t>(std::max<long>(moe.min_capacity, even_share));
  for (auto& queue : of_expert) {
    std::sort(queue.begin(), queue.end(), [&](const auto& a, const auto& b) { return served_before(a, b, moe.drop_policy); });
    for (std::size_t i = capacity; i < queue.size(); ++i) route.keep[queue[i].token][queue[i].slot] = false;
  }
  return route;
}

}  // namespace moelab::worker::test
