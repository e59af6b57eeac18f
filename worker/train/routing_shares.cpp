#include "worker/train/routing_shares.h"

#include <cassert>
#include <utility>

namespace moelab::worker {

RoutingShares::RoutingShares(std::vector<std::string> rows, const core::ModelShape& shape)
    : rows_(std::move(rows)), experts_(shape.experts) {
  for (std::size_t layer = 0; layer < shape.moe_layer.size(); ++layer) {
    if (shape.moe_layer[layer]) layers_.push_back(static_cast<std::int64_t>(layer));
  }
  counts_RE_.resize(layers_.size());
}

void RoutingShares::add(const torch::Tensor& row_T, const std::vector<Route>& routes, std::int64_t slots) {
  assert(routes.size() == layers_.size());
  if (rows_.empty() || routes.empty()) return;
  slots_ = slots;
  const auto rows = static_cast<std::int64_t>(rows_.size());
  const auto row_T1 = row_T.to(routes.front().expert_TK.device()).unsqueeze(1);
  for (std::size_t layer = 0; layer < routes.size(); ++layer) {
    // Tokens that do not count fall into a row of their own after the last.
    const auto cell_TK = torch::where(row_T1 < 0, rows, row_T1) * experts_ + routes[layer].expert_TK.narrow(1, 0, slots);
    const auto counts_RE = torch::bincount(cell_TK.flatten(), {}, (rows + 1) * experts_).view({rows + 1, experts_}).narrow(0, 0, rows);
    counts_RE_[layer] = counts_RE_[layer].defined() ? counts_RE_[layer] + counts_RE : counts_RE;
  }
}

bool RoutingShares::empty() const {
  return counts_RE_.empty() || !counts_RE_.front().defined() || counts_RE_.front().sum().item<std::int64_t>() == 0;
}

nlohmann::json RoutingShares::to_json() const {
  nlohmann::json json{{"rows", nlohmann::json::array()}, {"tokens", nlohmann::json::array()}, {"layers", layers_}, {"experts", experts_}};
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    const auto counts_RE = counts_RE_[layer].cpu().contiguous();
    const auto* counts = counts_RE.const_data_ptr<std::int64_t>();
    nlohmann::json& shares = json["share"].emplace_back(nlohmann::json::array());
    for (std::size_t row = 0; row < rows_.size(); ++row, counts += experts_) {
      std::int64_t total = 0;
      for (std::int64_t expert = 0; expert < experts_; ++expert) total += counts[expert];
      if (total == 0) continue;
      if (layer == 0) {
        json["rows"].push_back(rows_[row]);
        json["tokens"].push_back(total / slots_);
      }
      nlohmann::json& line = shares.emplace_back(nlohmann::json::array());
      for (std::int64_t expert = 0; expert < experts_; ++expert) {
        line.push_back(static_cast<double>(counts[expert]) / static_cast<double>(total));
      }
    }
  }
  return json;
}

}  // namespace moelab::worker
