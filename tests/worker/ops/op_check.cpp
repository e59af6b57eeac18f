#include "tests/worker/ops/op_check.h"

#include <ATen/CPUGeneratorImpl.h>
#include <doctest/doctest.h>

namespace moelab::worker::test {
namespace {

torch::Tensor weighted_sum(const Tensors& outputs) {
  torch::Tensor sum;
  std::uint64_t seed = 1000;
  for (const auto& output : outputs) {
    const auto term = (output * normal(output.sizes(), ++seed, torch::kFloat64).to(output.scalar_type())).sum();
    sum = sum.defined() ? sum + term : term;
  }
  return sum;
}

}  // namespace

torch::Tensor normal(torch::IntArrayRef shape, std::uint64_t seed, torch::ScalarType type) {
  return torch::empty(shape, torch::kFloat64).normal_(0, 1, at::detail::createCPUGenerator(seed)).to(type);
}

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.numel() == 0) return 0;
  const auto wide_a = a.detach().to(torch::kFloat64), wide_b = b.detach().to(torch::kFloat64);
  return ((wide_a - wide_b).abs() / (1 + wide_b.abs())).max().item<double>();
}

OpRun run_op(const Op& op, const Tensors& inputs) {
  Tensors leaves;
  for (const auto& input : inputs) leaves.push_back(input.detach().clone().requires_grad_());
  OpRun run;
  run.outputs = op(leaves);
  weighted_sum(run.outputs).backward();
  for (const auto& leaf : leaves) run.gradients.push_back(leaf.grad());
  return run;
}

void check_same(const Op& op, const Op& reference, const Tensors& inputs, double tolerance) {
  const auto ours = run_op(op, inputs), plain = run_op(reference, inputs);
  REQUIRE(ours.outputs.size() == plain.outputs.size());
  for (std::size_t i = 0; i < ours.outputs.size(); ++i) {
    CAPTURE(i);
    REQUIRE((ours.outputs[i].sizes() == plain.outputs[i].sizes()));
    CHECK(difference(ours.outputs[i], plain.outputs[i]) <= tolerance);
  }
  for (std::size_t i = 0; i < ours.gradients.size(); ++i) {
    CAPTURE(i);
    REQUIRE(ours.gradients[i].defined());
    const auto expected = plain.gradients[i].defined() ? plain.gradients[i] : torch::zeros_like(ours.gradients[i]);
    REQUIRE((ours.gradients[i].sizes() == expected.sizes()));
    CHECK(difference(ours.gradients[i], expected) <= tolerance);
  }
}

void check_finite_differences(const Op& op, const Tensors& inputs) {
  constexpr double kStep = 1e-5;
  const auto gradients = run_op(op, inputs).gradients;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    auto numeric = torch::zeros_like(inputs[i]);
    const auto value_at = [&](std::int64_t element, double shift) {
      const torch::NoGradGuard no_grad;
      Tensors moved;
      for (const auto& input : inputs) moved.push_back(input.clone());
      moved[i].flatten()[element] += shift;
      return weighted_sum(op(moved)).item<double>();
    };
    for (std::int64_t element = 0; element < inputs[i].numel(); ++element) {
      numeric.view(-1)[element] = (value_at(element, kStep) - value_at(element, -kStep)) / (2 * kStep);
    }
    CAPTURE(i);
    CHECK(difference(gradients[i], numeric) <= 1e-6);
  }
}

}  // namespace moelab::worker::test
