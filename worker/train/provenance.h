// Owns what is recorded about where a run was computed, and how much memory it took. Called by the trainer and main().
#pragma once

#include <torch/torch.h>

#include <nlohmann/json.hpp>

namespace moelab::worker {

// {pid, host, device ("cpu: <model>" or "cuda: <name>"), threads, libtorch, code_version}: the constant part of `started`.
nlohmann::json provenance(const torch::Device& device);

// Largest resident memory of this process so far (CPU), or largest memory allocated on the device (CUDA), in MiB.
double peak_memory_mb(const torch::Device& device);

}  // namespace moelab::worker
