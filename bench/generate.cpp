// Times greedy generation on random weights and prompts: with the whole text read anew for each token, with the cache of keys
// and values, and with the cache and many prompts at once. Alternates the three and prints one JSON line with their ratio.
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "worker/model/language_model.h"
#include "worker/ops/memory_tuning.h"
#include "worker/train/generate.h"

namespace {

using namespace moelab;

template <class Work>
double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void generate_without_cache(worker::LanguageModel& model, const std::vector<std::int32_t>& prompt, const worker::SamplingOptions& options) {
  const torch::NoGradGuard no_grad;
  std::vector<std::int64_t> text(prompt.begin(), prompt.end());
  for (std::int64_t i = 0; i < options.max_new_tokens; ++i) {
    const auto logits_BLV = model.logits(torch::tensor(text, torch::kInt64).unsqueeze(0));
    text.push_back(worker::sample_token(logits_BLV[0][-1], options, 0));
  }
}

}  // namespace

int main(int argc, char** argv) {
  core::RunConfig config;
  worker::SamplingOptions options;
  options.greedy = true;
  std::int64_t prompt_tokens = 16, prompts = 24, rounds = 3;
  int threads = 2;
  CLI::App app("Time generation with and without the cache of keys and values");
  app.add_option("--vocab-size", config.model.vocab_size);
  app.add_option("--hidden-size", config.model.hidden_size);
  app.add_option("--layers", config.model.num_hidden_layers);
  app.add_option("--heads", config.model.num_attention_heads);
  app.add_option("--kv-heads", config.model.num_key_value_heads);
  app.add_option("--width", config.model.intermediate_size, "width of a dense FFN or of one expert");
  app.add_option("--experts", config.moe.num_experts);
  app.add_option("--active", config.moe.num_active_experts);
  app.add_option("--prompt-tokens", prompt_tokens);
  app.add_option("--new-tokens", options.max_new_tokens);
  app.add_option("--prompts", prompts, "prompts of the batch");
  app.add_option("--rounds", rounds);
  app.add_option("--threads", threads);
  CLI11_PARSE(app, argc, argv);

  worker::tune_memory();
  at::set_num_threads(threads);
  config.data.block_size = prompt_tokens + options.max_new_tokens;
  worker::LanguageModel model(config);
  model.eval();
  torch::manual_seed(1);
  std::vector<std::vector<std::int32_t>> texts(static_cast<std::size_t>(prompts));
  for (auto& text : texts) {
    for (std::int64_t i = 0; i < prompt_tokens; ++i) text.push_back(torch::randint(config.model.vocab_size, {1}).item<std::int32_t>());
  }

  double whole = std::numeric_limits<double>::infinity(), cached = whole, batch = whole;
  for (std::int64_t round = 0; round < rounds; ++round) {
    whole = std::min(whole, seconds_of([&] { generate_without_cache(model, texts.front(), options); }));
    cached = std::min(cached, seconds_of([&] { worker::generate(model, {texts.front()}, options, std::nullopt); }));
    batch = std::min(batch, seconds_of([&] { worker::generate(model, texts, options, std::nullopt); }));
  }
  const auto tokens = static_cast<double>(options.max_new_tokens);
  std::cout << nlohmann::json{{"new_tokens", options.max_new_tokens},
                              {"prompts", prompts},
                              {"without_cache_tokens_per_s", tokens / whole},
                              {"cached_tokens_per_s", tokens / cached},
                              {"batch_tokens_per_s", tokens * static_cast<double>(prompts) / batch},
                              {"cache_ratio", whole / cached}}
            << std::endl;
  return 0;
}
