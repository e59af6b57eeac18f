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

  // A heap, because sorting a whole vocabulary takes longer than a small model: most draws end within the likeliest few.
  const auto rarer = [&](std::int64_t a, std::int64_t b) { return likelier(b, a); };
  std::make_heap(order.begin(), order.end(), rarer);
  const double highest = logits[order.front()];
  const auto weight = [&](std::int64_t id) { return std::exp((logits[id] - highest) / options.temperature); };
  std::vector<std::int64_t> ranked;
  const auto ranked_at = [&](std::size_t rank) {
    while (ranked.size() <= rank) {
      std::pop_heap(order.begin(), order.end(), rarer);
      ranked.push_back(order.back());
      order.pop_back();
    }
    return ranked[rank];
  };

  std::size_t count = order.size();
  double kept = 0;
  if (options.top_k > 0 && static_cast<std::size_t>(options.top_k) < count) {
    count = static_cast<std::size_t>(options.top_k);
    for (std::size_t i = 0; i < count; ++i) kept += weight(ranked_at(i));
  } else {
    for (const std::int64_t id : order) kept += weight(id);
  }
  if (options.top_p < 1) {
    const double enough = options.top_p * kept;
    const std::size_t limit = count;
    kept = 0;
    count = 0;
    while (count < limit && (count == 0 || kept < enough)) kept += weight(ranked_at(count++));
  }
  double left = random * kept;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    const double own = weight(ranked_at(i));
    if (left < own) return ranked[i];
    left -= own;
  }
  return ranked_at(count - 1);
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
