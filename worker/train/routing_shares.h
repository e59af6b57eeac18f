// Owns a table of where kinds of tokens go: rows are kinds (domains, classes of a token), columns experts, one table per MoE
// layer. Filled by evaluation (rows = domains) and by token_types (rows = classes of Python); written by routing_artifacts.
// Shapes: T tokens, K active experts, R rows, E experts.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/model_shape.h"
#include "worker/routing/route.h"

namespace moelab::worker {

class RoutingShares {
 public:
  RoutingShares(std::vector<std::string> rows, const core::ModelShape& shape);

  // row_T: int64, the row of each token on any device; a negative one is not counted. routes: one per MoE layer, of which the
  // first `slots` choices count, before capacity drops. Does not wait for the device.
  void add(const torch::Tensor& row_T, const std::vector<Route>& routes, std::int64_t slots);

  // Whether nothing was counted: no rows, no MoE layers or no tokens.
  bool empty() const;
  // {"rows": names, "tokens": [row], "layers": ids, "experts": E, "share": [layer][row][expert]}: shares of a row's
  // assignments, sum 1. Rows without a token are left out. server/render/share_map.h draws it.
  nlohmann::json to_json() const;

 private:
  std::vector<std::string> rows_;
  std::vector<std::int64_t> layers_;
  std::int64_t experts_;
  std::vector<torch::Tensor> counts_RE_;  // int64, one per MoE layer, on the device; undefined before the first batch
  std::int64_t slots_ = 1;
};

}  // namespace moelab::worker
