// Owns a home with a small matrix to submit: experiment "a" with a0 (baseline) and a1, experiment "b" with b0 = a1 and b1.
// They make runs 1 (a0), 2 (a1 = b0) and 3 (b1); b has the higher priority, so with two slots runs 2 and 3 go first.
#pragma once

#include <filesystem>
#include <string>

#include "core/plan.h"
#include "tests/db/temp_dir.h"

namespace moelab::test {

struct MatrixHome {
  TempDir dir;
  MatrixHome() { write_text(dir.path() / "stories.txt", "Once upon a time there was a router. It was fair.\n"); }
  std::filesystem::path home() const { return dir.path() / "home"; }

  core::PlanRequest request(const std::string& lb_coeff = "0.01") const {
    core::PlanRequest request;
    request.source_text = R"(version: 1
name: study
defaults:
  model: {vocab_size: 64, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32}
  moe: {num_experts: 4, num_active_experts: 1}
  data: {path: [stories.txt], block_size: 8}
  train: {max_steps: 40, batch_size: 2}
  resources: {gpus: 0}
experiments:
  - name: a
    baseline: a0
    notes: balance
    tags: [balance]
    variants:
      a0: {}
      a1: {moe.lb_coeff: )" +
                          lb_coeff + R"(}
  - name: b
    baseline: a0
    priority: 3
    variants:
      b0: {moe.lb_coeff: )" +
                          lb_coeff + R"(}
      b1: {moe.capacity_factor: 1.5}
)";
    request.source_name = "study.yaml";
    request.base_dir = dir.path();
    request.cache_dir = home() / "cache";
    return request;
  }
};

}  // namespace moelab::test
