#include "worker/train/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

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

std::vector<std::vector<std::int32_t>> generate(LanguageModel& model, const std::vector<std::vector<std::int32_t>>& prompts,
                                                const SamplingOptions& options, std::optional<std::int64_t> eos_id,
                                                std::uint64_t first_prompt) {
  const torch::NoGradGuard no_grad;
  model.eval();
  const std::int64_t window = position_limit(model.config());
  std::vector<std::vector<std::int64_t>> texts;  // prompt and what follows
  std::vector<std::int64_t> growing;
  std::int64_t longest = 0;
  for (const auto& prompt : prompts) {
    if (prompt.empty()) throw core::Error(core::ErrorKind::usage, "the prompt has no tokens; give some text");
    growing.push_back(static_cast<std::int64_t>(texts.size()));
    texts.emplace_back(prompt.begin(), prompt.end());
    longest = std::max(longest, static_cast<std::int64_t>(prompt.size()));
  }
  KvCache cache = model.make_cache(static_cast<std::int64_t>(prompts.size()), std::min(window, longest + options.max_new_tokens));

  std::vector<std::vector<std::int32_t>> continuations(prompts.size());
  for (std::int64_t step = 0; step < options.max_new_tokens && !growing.empty(); ++step) {
    std::vector<LanguageModel::NewTokens> unread;
    for (const std::int64_t i : growing) {
      const auto& text = texts[static_cast<std::size_t>(i)];
      if (cache.length(i) == window) cache.clear(i);
      const auto count = cache.length(i) > 0 ? 1 : std::min(window, static_cast<std::int64_t>(text.size()));
      unread.push_back({i, {text.end() - count, text.end()}});
    }
    const torch::Tensor logits_NV = model.next_logits(unread, cache).cpu();
    std::vector<std::int64_t> going_on;
    for (std::size_t n = 0; n < growing.size(); ++n) {
      const auto i = static_cast<std::size_t>(growing[n]);
      const double random = to_unit(random64(options.seed, RandomStream::sampling, first_prompt + i, static_cast<std::uint64_t>(step)));
      const std::int64_t id = sample_token(logits_NV[static_cast<std::int64_t>(n)], options, random);
      texts[i].push_back(id);
      continuations[i].push_back(static_cast<std::int32_t>(id));
      if (id != eos_id) going_on.push_back(growing[n]);
    }
    growing = std::move(going_on);
  }
  return continuations;
}

}  // namespace moelab::worker
