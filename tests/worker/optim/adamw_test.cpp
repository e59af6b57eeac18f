#include "worker/optim/adamw.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

using namespace moelab;

namespace {

// A matrix and a vector, as every model has.
class TwoWeights : public torch::nn::Module {
 public:
  TwoWeights() {
    torch::manual_seed(5);
    matrix = register_parameter("matrix", torch::randn({7, 33}));
    vector = register_parameter("vector", torch::randn({19}));
  }
  void set_gradients(int step) {
    torch::manual_seed(100 + step);
    matrix.mutable_grad() = torch::randn_like(matrix);
    vector.mutable_grad() = torch::randn_like(vector);
  }
  torch::Tensor matrix, vector;
};

core::TrainConfig config() {
  core::TrainConfig train;
  train.weight_decay = 0.1;
  train.grad_clip = 1.0;
  return train;
}

// AdamW as printed in arXiv 1711.05101, algorithm 2, one parameter, in double.
struct HandWritten {
  torch::Tensor weight, m, v;
  double decay;
  HandWritten(const torch::Tensor& start, double weight_decay)
      : weight(start.detach().to(torch::kFloat64).clone()),
        m(torch::zeros_like(weight)),
        v(torch::zeros_like(weight)),
        decay(weight_decay) {}
  void step(const torch::Tensor& gradient, int t, double lr, const core::TrainConfig& c) {
    const auto g = gradient.to(torch::kFloat64);
    m = c.beta1 * m + (1 - c.beta1) * g;
    v = c.beta2 * v + (1 - c.beta2) * g * g;
    const auto m_hat = m / (1 - std::pow(c.beta1, t)), v_hat = v / (1 - std::pow(c.beta2, t));
    weight = weight - lr * decay * weight - lr * m_hat / (v_hat.sqrt() + c.eps);
  }
};

double worst(const torch::Tensor& ours, const torch::Tensor& expected) {
  return (ours.detach().to(torch::kFloat64) - expected).abs().max().item<double>();
}

}  // namespace

TEST_CASE("ten steps equal AdamW written by hand, with clipping and decay of matrices only") {
  TwoWeights model;
  worker::AdamW optimizer(model, config());
  HandWritten matrix(model.matrix, 0.1), vector(model.vector, 0.0);
  for (int t = 1; t <= 10; ++t) {
    model.set_gradients(t);
    const double expected_norm = std::sqrt(
        (model.matrix.grad().to(torch::kFloat64).square().sum() + model.vector.grad().to(torch::kFloat64).square().sum()).item<double>());
    const double norm = optimizer.gradient_norm();
    CHECK(norm == doctest::Approx(expected_norm).epsilon(1e-6));
    REQUIRE(norm > 1);  // otherwise this test would not clip
    const double lr = 1e-2 / t, factor = 1 / (expected_norm + 1e-6);
    matrix.step(model.matrix.grad() * factor, t, lr, config());
    vector.step(model.vector.grad() * factor, t, lr, config());
    optimizer.step(lr, norm);
    optimizer.zero_grad();
    CHECK_FALSE(model.matrix.grad().defined());
  }
  CHECK(worst(model.matrix, matrix.weight) <= 1e-6);
  CHECK(worst(model.vector, vector.weight) <= 1e-6);
  CHECK(optimizer.steps() == 10);
}

TEST_CASE("small gradients are not clipped, and grad_clip 0 never clips") {
  for (const double clip : {1.0, 0.0}) {
    TwoWeights model;
    auto train = config();
    train.grad_clip = clip;
    worker::AdamW optimizer(model, train);
    HandWritten matrix(model.matrix, 0.1);
    model.set_gradients(1);
    const double scale = clip > 0 ? 1e-3 : 10;
    model.matrix.mutable_grad().mul_(scale);
    model.vector.mutable_grad().mul_(scale);
    matrix.step(model.matrix.grad(), 1, 1e-2, train);
    optimizer.step(1e-2, optimizer.gradient_norm());
    // One step moves by lr * sign(g) whatever the size, so the moments tell whether the gradient was scaled.
    CHECK(worst(optimizer.state()[1].second, matrix.m) <= 1e-6 * scale);
    CHECK(optimizer.state()[1].first == "adamw.m.matrix");
  }
}

TEST_CASE("state copied into a fresh optimiser continues bit for bit") {
  TwoWeights first, second;
  worker::AdamW a(first, config()), b(second, config());
  const auto advance = [](TwoWeights& model, worker::AdamW& optimizer, int step) {
    model.set_gradients(step);
    optimizer.step(1e-3, optimizer.gradient_norm());
  };
  for (int t = 0; t < 3; ++t) advance(first, a, t);
  {
    const torch::NoGradGuard no_grad;
    second.matrix.copy_(first.matrix);
    second.vector.copy_(first.vector);
    REQUIRE(a.state().size() == 5);
    for (std::size_t i = 0; i < a.state().size(); ++i) {
      CHECK(a.state()[i].first == b.state()[i].first);
      b.state()[i].second.copy_(a.state()[i].second);
    }
  }
  CHECK(b.steps() == 3);
  advance(first, a, 9);
  advance(second, b, 9);
  CHECK(torch::equal(first.matrix, second.matrix));
  CHECK(torch::equal(first.vector, second.vector));
}

TEST_CASE("a parameter without gradient stays as it is") {
  TwoWeights model;
  worker::AdamW optimizer(model, config());
  model.set_gradients(1);
  model.vector.mutable_grad().reset();
  const auto before = model.vector.detach().clone();
  optimizer.step(1e-2, optimizer.gradient_norm());
  CHECK(torch::equal(model.vector, before));
}

TEST_CASE("a frozen parameter has no moments and is not decayed") {
  TwoWeights model;
  model.matrix.requires_grad_(false);
  worker::AdamW optimizer(model, config());
  const auto before = model.matrix.clone();
  model.vector.mutable_grad() = torch::ones_like(model.vector);
  optimizer.step(1e-2, optimizer.gradient_norm());
  CHECK(torch::equal(model.matrix, before));
  REQUIRE(optimizer.state().size() == 3);
  CHECK(optimizer.state()[1].first == "adamw.m.vector");
}

TEST_CASE("a gradient that is not a number shows in the norm and in the weights") {
  TwoWeights model;
  worker::AdamW optimizer(model, config());
  model.set_gradients(1);
  model.matrix.mutable_grad()[0][0] = std::nan("");
  const double norm = optimizer.gradient_norm();
  CHECK(std::isnan(norm));
  optimizer.step(1e-2, norm);
  CHECK(model.vector.isnan().any().item<bool>());
}
