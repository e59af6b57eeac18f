// Times the training step of the worker: forward, backward, clipping and AdamW on random tokens. Prints one JSON line with
// the fields of bench/transformers_step.py. Started by bench/run in a process of its own.
#include <sys/resource.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "worker/model/language_model.h"
#include "worker/ops/memory_tuning.h"
#include "worker/optim/adamw.h"

namespace {

using namespace moelab;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  core::RunConfig config;
  config.train.lr = 1e-3;
  std::string label = "moelab", shape;
  std::int64_t batch = 8, steps = 10, warmup = 3;
  int threads = 2;
  bool tune = true;
  CLI::App app("Time one training step of Moelab");
  app.add_option("--shape", shape, "name printed with the result");
  app.add_option("--label", label, "name of this side of the comparison");
  app.add_option("--vocab-size", config.model.vocab_size);
  app.add_option("--hidden-size", config.model.hidden_size);
  app.add_option("--layers", config.model.num_hidden_layers);
  app.add_option("--heads", config.model.num_attention_heads);
  app.add_option("--kv-heads", config.model.num_key_value_heads);
  app.add_option("--width", config.model.intermediate_size, "width of a dense FFN or of one expert");
  app.add_option("--experts", config.moe.num_experts);
  app.add_option("--active", config.moe.num_active_experts);
  app.add_option("--block", config.data.block_size);
  app.add_option("--batch", batch);
  app.add_option("--steps", steps);
  app.add_option("--warmup", warmup);
  app.add_option("--threads", threads);
  app.add_flag("--tune-memory,!--no-tune-memory", tune);
  app.add_flag_callback("--bf16", [&] { config.train.precision = core::Precision::bf16; });
  CLI11_PARSE(app, argc, argv);

  if (tune) worker::tune_memory();
  at::set_num_threads(threads);
  worker::LanguageModel model(config);
  model.train();
  worker::AdamW optimizer(model, config.train);
  std::int64_t parameters = 0;
  for (const auto& parameter : model.parameters()) parameters += parameter.numel();
  torch::manual_seed(1);

  std::vector<double> times_ms, losses;
  for (std::int64_t step = 0; step < warmup + steps; ++step) {
    const auto ids = torch::randint(config.model.vocab_size, {batch, config.data.block_size}, torch::kInt64);
    // Transformers shifts its labels itself; the last position of a block has no target.
    const auto targets = torch::cat({ids.slice(1, 1), torch::full({batch, 1}, worker::kIgnoredTarget, torch::kInt64)}, 1);
    const auto start = std::chrono::steady_clock::now();
    optimizer.zero_grad();
    const auto loss = model.loss(ids, targets, {});
    loss.total.backward();
    optimizer.step(config.train.lr, optimizer.gradient_norm());
    losses.push_back(loss.total.item<double>());
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    if (step >= warmup) times_ms.push_back(elapsed.count());
  }
  std::cout << nlohmann::json{{"label", label},
                              {"shape", shape},
                              {"times_ms", times_ms},
                              {"min_ms", *std::min_element(times_ms.begin(), times_ms.end())},
                              {"median_ms", median(times_ms)},
                              {"tokens", batch * config.data.block_size},
                              {"parameters", parameters},
                              {"first_loss", losses.front()},
                              {"last_loss", losses.back()},
                              {"peak_memory_mb", peak_memory_mb()}}
            << std::endl;
  return 0;
}
