// Shapes: L MoE layers, E experts.
#include "worker/train/health_watch.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>

namespace moelab::worker {
namespace {

constexpr double kUnderused = 0.4, kOverused = 2.4, kUneven = 0.5, kLargeZLoss = 0.01, kSpike = 3;
constexpr const char* kCodes[] = {"expert_underused", "expert_overused", "load_imbalanced", "z_loss_large", "z_loss_doubled", "loss_spike"};

template <class... Values>
std::string text(const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  return line;
}

template <class Range>
torch::Tensor as_tensor(const Range& range) {
  return torch::tensor(std::vector<double>(range.begin(), range.end()), torch::kFloat64);
}

}  // namespace

HealthWatch::HealthWatch(const core::MoeConfig& moe, std::vector<std::int64_t> layers) : moe_(moe), layers_(std::move(layers)) {
  counts_LE_ = torch::zeros({static_cast<std::int64_t>(layers_.size()), moe_.num_experts}, torch::kInt64);
}

std::vector<HealthAlert> HealthWatch::observe(std::int64_t step, const std::map<std::string, double>& values,
                                              const torch::Tensor& counts_LE) {
  std::vector<HealthAlert> found;
  if (counts_LE.defined()) watch_load(counts_LE, found);
  if (const auto z_loss = values.find("train/z_loss"); z_loss != values.end()) watch_z_loss(step, z_loss->second, found);
  watch_loss(values.at("train/loss"), found);
  ++observed_;
  std::erase_if(found, [&](const HealthAlert& alert) {
    Quiet& quiet = quiet_[alert.code];
    if (observed_ <= quiet.until) return true;
    const bool lasts = quiet.length > 0 && observed_ <= quiet.until + kWindow;
    quiet.length = lasts ? 2 * quiet.length : kWindow;
    quiet.until = observed_ + quiet.length - 1;
    return false;
  });
  return found;
}

void HealthWatch::watch_load(const torch::Tensor& counts_LE, std::vector<HealthAlert>& alerts) {
  counts_LE_ += counts_LE;
  if (++counted_ < kWindow) return;
  const auto E = static_cast<double>(moe_.num_experts);
  const auto share_LE = counts_LE_.to(torch::kFloat64) / counts_LE_.sum(1, /*keepdim=*/true);
  counts_LE_.zero_();
  counted_ = 0;
  const auto place = [&](const torch::Tensor& index) {
    const auto flat = index.item<std::int64_t>();
    return std::pair(layers_.at(static_cast<std::size_t>(flat / moe_.num_experts)), flat % moe_.num_experts);
  };
  const double least = share_LE.min().item<double>(), most = share_LE.max().item<double>();
  if (least < kUnderused / E) {
    const auto [layer, expert] = place(share_LE.argmin());
    alerts.push_back({"expert_underused", text("layer %lld: expert %lld got %.1f%% of the assignments of %lld logged steps; even is %.1f%%",
                                               static_cast<long long>(layer), static_cast<long long>(expert), 100 * least,
                                               static_cast<long long>(kWindow), 100 / E)});
  }
  if (most > kOverused / E) {
    const auto [layer, expert] = place(share_LE.argmax());
    alerts.push_back({"expert_overused", text("layer %lld: expert %lld got %.1f%% of the assignments of %lld logged steps; even is %.1f%%",
                                              static_cast<long long>(layer), static_cast<long long>(expert), 100 * most,
                                              static_cast<long long>(kWindow), 100 / E)});
  }
  const auto cv_L = (share_LE * E - 1).square().mean(1).sqrt();
  if (const double cv = cv_L.max().item<double>(); cv > kUneven) {
    alerts.push_back(
        {"load_imbalanced", text("layer %lld: standard deviation / mean of the load is %.2f over %lld logged steps",
                                 static_cast<long long>(layers_.at(static_cast<std::size_t>(cv_L.argmax().item<std::int64_t>()))), cv,
                                 static_cast<long long>(kWindow))});
  }
}

void HealthWatch::watch_z_loss(std::int64_t step, double z_loss, std::vector<HealthAlert>& alerts) {
  if (const double scaled = z_loss * moe_.z_loss_coeff; scaled > kLargeZLoss) {
    alerts.push_back({"z_loss_large", text("step %lld: z-loss times its coefficient is %.4g, above %.2g: router logits are large",
                                           static_cast<long long>(step), scaled, kLargeZLoss)});
  }
  while (!z_losses_.empty() && z_losses_.front().first < static_cast<double>(step - kZLossSteps)) z_losses_.pop_front();
  const auto least = std::min_element(z_losses_.begin(), z_losses_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (least != z_losses_.end() && z_loss > 2 * least->second) {
    alerts.push_back({"z_loss_doubled", text("step %lld: z-loss %.4g is more than twice the %.4g of step %.0f",
                                             static_cast<long long>(step), z_loss, least->second, least->first)});
  }
  z_losses_.emplace_back(static_cast<double>(step), z_loss);
}

void HealthWatch::watch_loss(double loss, std::vector<HealthAlert>& alerts) {
  if (!std::isfinite(loss)) return;  // the trainer has its own word for that
  if (static_cast<std::int64_t>(losses_.size()) == kWindow) {
    const double mean = std::accumulate(losses_.begin(), losses_.end(), 0.0) / static_cast<double>(kWindow);
    double variance = 0;
    for (const double x : losses_) variance += (x - mean) * (x - mean) / static_cast<double>(kWindow);
    if (const double deviation = std::sqrt(variance); loss > mean + kSpike * deviation) {
      alerts.push_back({"loss_spike", text("loss %.4f is %.1f standard deviations above the mean %.4f of %lld logged steps", loss,
                                           (loss - mean) / deviation, mean, static_cast<long long>(kWindow))});
    }
    losses_.pop_front();
  }
  losses_.push_back(loss);
}

std::map<std::string, torch::Tensor> HealthWatch::state() const {
  std::vector<double> steps, values, quiet;
  for (const auto& [step, value] : z_losses_) steps.push_back(step), values.push_back(value);
  const auto quiet_of = [&](const char* code) {
    const auto found = quiet_.find(code);
    return found == quiet_.end() ? Quiet{} : found->second;
  };
  for (const char* code : kCodes) quiet.push_back(static_cast<double>(quiet_of(code).until));
  quiet.push_back(static_cast<double>(observed_));
  quiet.push_back(static_cast<double>(counted_));
  for (const char* code : kCodes) quiet.push_back(static_cast<double>(quiet_of(code).length));
  return {{"counts_LE", counts_LE_},
          {"losses", as_tensor(losses_)},
          {"z_loss_steps", as_tensor(steps)},
          {"z_loss_values", as_tensor(values)},
          {"quiet", as_tensor(quiet)}};
}

void HealthWatch::restore(const std::map<std::string, torch::Tensor>& state) {
  const auto numbers = [&](const char* name) {
    const auto tensor = state.at(name).to(torch::kFloat64).contiguous();
    const auto* data = tensor.const_data_ptr<double>();
    return std::vector<double>(data, data + tensor.numel());
  };
  counts_LE_ = state.at("counts_LE").clone();
  const auto losses = numbers("losses"), steps = numbers("z_loss_steps"), values = numbers("z_loss_values"), quiet = numbers("quiet");
  losses_.assign(losses.begin(), losses.end());
  z_losses_.clear();
  for (std::size_t i = 0; i < steps.size(); ++i) z_losses_.emplace_back(steps[i], values[i]);
  std::size_t at = 0;
  for (const char* code : kCodes) quiet_[code].until = static_cast<std::int64_t>(quiet.at(at++));
  observed_ = static_cast<std::int64_t>(quiet.at(at++));
  counted_ = static_cast<std::int64_t>(quiet.at(at++));
  if (quiet.size() == at) return;  // a checkpoint from before alerts that last became rarer
  for (const char* code : kCodes) quiet_[code].length = static_cast<std::int64_t>(quiet.at(at++));
}

}  // namespace moelab::worker
