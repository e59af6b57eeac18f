#include "worker/optim/adamw.h"

#include <algorithm>

namespace moelab::worker {
namespace {

// Norm weights are vectors, every other parameter has two dimensions or more, so the dimension alone tells them apart.
bool decays(const torch::Tensor& parameter) {
  return parameter.dim() >= 2;
}

}  // namespace

AdamW::AdamW(const torch::nn::Module& model, const core::TrainConfig& train) : train_(train) {
  groups_[1].weight_decay = train.weight_decay;
  const auto parameters = model.named_parameters();
  step_ = torch::zeros({1}, torch::dtype(torch::kFloat32).device(parameters.front().value().device()));
  state_.emplace_back("adamw.step", step_);
  for (const auto& item : parameters) {
    const auto& parameter = item.value();
    if (!parameter.requires_grad()) continue;
    Group& group = groups_[decays(parameter) ? 1 : 0];
    group.parameters.push_back(parameter);
    group.first_moments.push_back(torch::zeros_like(parameter, torch::MemoryFormat::Contiguous));
    group.second_moments.push_back(torch::zeros_like(parameter, torch::MemoryFormat::Contiguous));
    state_.emplace_back("adamw.m." + item.key(), group.first_moments.back());
    state_.emplace_back("adamw.v." + item.key(), group.second_moments.back());
  }
}

double AdamW::gradient_norm() const {
  std::vector<torch::Tensor> gradients;
  for (const auto& group : groups_) {
    for (const auto& parameter : group.parameters) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
  }
  if (gradients.empty()) return 0;
  const torch::NoGradGuard no_grad;
  return torch::stack(at::_foreach_norm(gradients)).norm().item<double>();
}

void AdamW::step(double lr, double norm) {
  const torch::NoGradGuard no_grad;
  const double coefficient = train_.grad_clip > 0 ? train_.grad_clip / (norm + 1e-6) : 1;
  // The kernel divides gradients by this while it reads them, which saves a pass over all gradients. NaN must not be lost.
  std::optional<torch::Tensor> gradient_divisor;
  if (!(coefficient >= 1)) gradient_divisor = torch::full({1}, 1 / coefficient, step_.options());
  step_.add_(1);
  for (const auto& group : groups_) {
    std::vector<torch::Tensor> parameters, gradients, first_moments, second_moments;
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      if (!group.parameters[i].grad().defined()) continue;
      parameters.push_back(group.parameters[i]);
      gradients.push_back(group.parameters[i].grad());
      first_moments.push_back(group.first_moments[i]);
      second_moments.push_back(group.second_moments[i]);
    }
    if (parameters.empty()) continue;
    const std::vector<torch::Tensor> steps(parameters.size(), step_);
    at::_fused_adamw_(parameters, gradients, first_moments, second_moments, /*max_exp_avg_sqs=*/{}, steps, lr, train_.beta1, train_.beta2,
                      group.weight_decay, train_.eps, /*amsgrad=*/false, /*maximize=*/false, gradient_divisor);
  }
}

void AdamW::zero_grad() {
  for (auto& group : groups_) {
    for (auto& parameter : group.parameters) parameter.mutable_grad().reset();
  }
}

std::int64_t AdamW::steps() const {
  return static_cast<std::int64_t>(step_.item<float>());
}

}  // namespace moelab::worker
