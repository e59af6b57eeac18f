// Owns the small runs that the tests of worker/train train: token files in a temporary directory, models of a few thousand
// weights that take milliseconds a step.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/event.h"
#include "core/run_spec.h"
#include "tests/worker/data/temporary_directory.h"
#include "worker/data/portable_random.h"

namespace moelab::worker::test {

inline constexpr std::int64_t kVocab = 61;

// uint16 ids with a pattern worth learning: each depends on the one before it and a little chance.
inline std::string token_bytes(std::int64_t count, std::uint64_t seed) {
  std::string bytes;
  std::uint16_t id = 3;
  for (std::int64_t i = 0; i < count; ++i) {
    bytes.append(reinterpret_cast<const char*>(&id), sizeof id);
    id = static_cast<std::uint16_t>((id * 7 + random64(seed, RandomStream::sampling, 0, static_cast<std::uint64_t>(i)) % 3) % kVocab);
  }
  return bytes;
}

inline core::RunConfig small_config(const TemporaryDirectory& dir) {
  core::RunConfig c;
  c.seed = 3;
  c.model.vocab_size = kVocab;
  c.model.hidden_size = 16;
  c.model.num_hidden_layers = 2;
  c.model.num_attention_heads = 2;
  c.model.intermediate_size = 24;
  c.data.tokens = dir.write("train.bin", token_bytes(40 * 16 + 1, 1));
  c.data.val_tokens = dir.write("val.bin", token_bytes(6 * 16 + 1, 2));
  c.data.block_size = 16;
  c.train.lr = 3e-3;
  c.train.batch_size = 4;
  c.train.max_steps = 20;
  c.train.eval_interval = 8;
  c.train.save_interval = 6;
  c.train.expert_load_interval = 4;
  return c;
}

// Bias control with an unfinished interval at most steps, capacity drops, shared expert, accumulation.
inline core::RunConfig small_moe_config(const TemporaryDirectory& dir) {
  core::RunConfig c = small_config(dir);
  c.moe.num_experts = 4;
  c.moe.num_active_experts = 2;
  c.moe.num_shared_experts = 1;
  c.moe.moe_intermediate_size = 8;
  c.moe.lb_gamma = 0.01;
  c.moe.lb_bias_interval = 3;
  c.moe.capacity_factor = 1.0;
  c.moe.z_loss_coeff = 1e-3;
  c.train.grad_accum = 2;
  return c;
}

inline void write_run(const TemporaryDirectory& dir, const std::string& name, const core::RunConfig& config) {
  core::RunSpec spec;
  spec.name = name;
  spec.config = config;
  dir.write(name + "/run.json", core::to_json(spec).dump());
}

inline std::vector<core::Event> read_events(const std::filesystem::path& run_dir) {
  std::vector<core::Event> events;
  std::ifstream in(run_dir / "events.jsonl");
  for (std::string line; std::getline(in, line);) {
    if (!in.eof()) events.push_back(core::decode(line));  // a line still being written has no newline
  }
  return events;
}

inline std::vector<core::Event> events_of(const std::filesystem::path& run_dir, core::EventType type) {
  std::vector<core::Event> found;
  for (core::Event& event : read_events(run_dir)) {
    if (event.type == type) found.push_back(std::move(event));
  }
  return found;
}

}  // namespace moelab::worker::test
