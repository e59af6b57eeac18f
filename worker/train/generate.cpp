#include "worker/train/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "worker/data/portable_random.h"

namespace moelab::worker {
namespace {

std::int64_t position_limit(const core::RunConfig& config) {
  return config.model.max_position_embeddings.value_or(config.data.block_size);
}

}  // namespace

std::int64_t sample_token(const torch::Tensor& logits_V, const SamplingOptions& options, double random) {
  const torch::Tensor contiguous_V = logits_V.to(torch::kCPU, torch::kFloat64).contiguous();
  const double* logits = contiguous_V.const_data_ptr<double>();
  std::vector<std::int64_t> order(static_cast<std::size_t>(contiguous_V.numel()));
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [&](std::int64_t a, std::int64_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
  if (options.greedy || options.temperature == 0) return *std::min_element(order.begin(), order.end(), likelier);

  const auto size = static_cast<std::int64_t>(order.size());
  const std::int64_t k = options.top_k > 0 ? std::min(options.top_k, size) : size;
  std::partial_sort(order.begin(), order.begin() + k, order.end(), likelier);
  order.resize(static_cast<std::size_t>(k));
  std::vector<double> weight(order.size());
  double total = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    weight[i] = std::exp((logits[order[i]] - logits[order[0]]) / options.temperature);
    total += weight[i];
  }
  double kept = 0;
  std::size_t count = 0;
  while (count < weight.size() && (count == 0 || kept < options.top_p * total)) kept += weight[count++];
  double left = random * kept;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    if (left < weight[i]) return order[i];
    left -= weight[i];
  }
  return order[count - 1];
}

std::vector<std::int32_t> generate(LanguageModel& model, const std::vector<std::int32_t>& prompt, const SamplingOptions& options,
                                   std::optional<std::int64_t> eos_id) {
  if (prompt.empty()) throw core::Error(core::ErrorKind::usage, "the prompt has no tokens; give some text");
  torch::NoGradGuard no_grad;
  model.eval();
  const torch::Device device = model.parameters().front().device();
  const auto window = static_cast<std::size_t>(position_limit(model.config()));
  std::vector<std::int64_t> ids(prompt.begin(), prompt.end());
  std::vector<std::int32_t> generated;
  for (std::int64_t i = 0; i < options.max_new_tokens; ++i) {
    const std::size_t length = std::min(ids.size(), window);
    const torch::Tensor ids_BL =
        torch::tensor(std::vector<std::int64_t>(ids.end() - static_cast<std::ptrdiff_t>(length), ids.end()), torch::kInt64)
            .unsqueeze(0)
            .to(device);
    const torch::Tensor last_V = model.logits(ids_BL).select(0, 0).select(0, -1);
    const double random = to_unit(random64(options.seed, RandomStream::sampling, 0, static_cast<std::uint64_t>(i)));
    const std::int64_t id = sample_token(last_V, options, random);
    ids.push_back(id);
    generated.push_back(static_cast<std::int32_t>(id));
    if (id == eos_id) break;
  }
  return generated;
}

}  // namespace moelab::worker
