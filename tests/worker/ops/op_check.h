// Owns how an operation is compared with its plain reference, and its gradients with finite differences.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <vector>

namespace moelab::worker::test {

using Tensors = std::vector<torch::Tensor>;
using Op = std::function<Tensors(const Tensors&)>;

struct OpRun {
  Tensors outputs, gradients;  // gradients of sum(output * fixed random weights) by every input
};

// Runs `op` on fresh leaves with the values of `inputs`.
OpRun run_op(const Op& op, const Tensors& inputs);

// Both outputs and all gradients agree: |a - b| <= tolerance * (1 + |b|).
void check_same(const Op& op, const Op& reference, const Tensors& inputs, double tolerance);

// The gradients of `op` in double agree with central differences to 1e-6 relative. `inputs` are double.
void check_finite_differences(const Op& op, const Tensors& inputs);

// Random tensors: N(0, 1) from a fixed seed, so that a failure repeats.
torch::Tensor normal(torch::IntArrayRef shape, std::uint64_t seed, torch::ScalarType type = torch::kFloat32);

// max |a - b| / (1 + |b|)
double difference(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace moelab::worker::test
