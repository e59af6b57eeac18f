// Owns the command line of moelab-worker. Started by the server's launcher (train), and by `moelab generate`, `moelab data
// prepare`, `moelab export`, `moelab import` and `moelab score`; a person may call it too.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <memory>

#include "core/error.h"
#include "worker/ops/memory_tuning.h"
#include "worker/train/export_command.h"
#include "worker/train/generate_command.h"
#include "worker/train/import_command.h"
#include "worker/train/log.h"
#include "worker/train/prepare_command.h"
#include "worker/train/score_command.h"
#include "worker/train/stop_signal.h"
#include "worker/train/train_run.h"

namespace {

using namespace moelab::worker;

void add_train(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("train", "Train the run described by DIR/run.json, from its newest checkpoint if there is one");
  auto options = std::make_shared<TrainRunOptions>();
  command->add_option("--run-dir", options->run_dir, "Directory with run.json")->required()->check(CLI::ExistingDirectory);
  command->add_option("--cache-dir", options->cache_dir, "Where tokenizers and token streams are kept for all runs")->required();
  command->add_option("--attempt", options->attempt, "1 for the first start of a run, then counting up")->check(CLI::PositiveNumber);
  command->add_option("--device", options->device)->check(CLI::IsMember({"cpu", "cuda"}))->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads; the same number gives the same bits")->check(CLI::PositiveNumber);
  command->callback([options, &exit_code] {
    configure_libtorch(options->threads);
    exit_code = train_run(*options);
  });
}

void add_generate(CLI::App& app) {
  auto* command = app.add_subcommand("generate", "Continue a text with a trained model");
  auto options = std::make_shared<GenerateCommand>();
  command->add_option("--from", options->from, "Run directory or checkpoint directory")->required()->check(CLI::ExistingDirectory);
  command->add_option("--prompt", options->prompts, "Text to continue; may be given several times");
  command->add_option("--prompts-file", options->prompts_file,
                      "A prompt a line, or .jsonl with a \"prompt\" in each line; instead of --prompt");
  command->add_option("--max-new-tokens", options->sampling.max_new_tokens)->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_option("--temperature", options->sampling.temperature)->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_option("--top-k", options->sampling.top_k, "Choose among the k likeliest tokens; 0 = all")->check(CLI::NonNegativeNumber);
  command->add_option("--top-p", options->sampling.top_p, "Choose among the likeliest tokens of this total probability")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", options->sampling.seed)->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_flag("--greedy", options->sampling.greedy, "Always take the likeliest token");
  command->add_flag("--json", options->json, "One JSON object a prompt: prompt, text, tokens");
  auto threads = std::make_shared<int>(0);
  command->add_option("--threads", *threads)->check(CLI::PositiveNumber);
  command->callback([options, threads] {
    configure_libtorch(*threads);
    generate_command(*options, std::cout);
  });
}

void add_prepare(CLI::App& app) {
  auto* command = app.add_subcommand("prepare", "Tokenise a corpus into token files, training a tokenizer if none is given");
  auto options = std::make_shared<PrepareCommand>();
  command->add_option("--path", options->config.data.path, "Files, directories or globs of .txt and .jsonl")->required();
  command->add_option("--out", options->out, "Directory for tokenizer.model, train.bin, val.bin and their sidecars")->required();
  command->add_option("--vocab-size", options->vocab_size, "Tokens of the tokenizer; needed unless --tokenizer is given")
      ->check(CLI::PositiveNumber);
  command->add_option("--tokenizer", options->config.data.tokenizer, "SentencePiece model; without it one is trained")
      ->check(CLI::ExistingFile);
  command->add_option("--val-path", options->config.data.val_path, "Validation corpus; without it documents are held out");
  command->add_option("--val-fraction", options->config.data.val_fraction)->check(CLI::Range(1e-9, 0.5))->capture_default_str();
  command->add_option("--block-size", options->config.data.block_size)->check(CLI::Range(2, 1 << 20))->capture_default_str();
  command->add_option("--text-field", options->config.data.text_field)->capture_default_str();
  command->add_flag("--bos,!--no-bos", options->config.data.bos, "Begin each document with the BOS token (default)");
  command->add_flag("--eos,!--no-eos", options->config.data.eos, "End each document with the EOS token");
  command->add_option("--seed", options->config.data.seed, "Seed of the split")->check(CLI::NonNegativeNumber);
  command->add_option("--cache-dir", options->cache_dir)->required();
  command->add_option("--threads", options->threads)->check(CLI::PositiveNumber);
  command->add_flag("--json", options->json, "Print the summary as JSON");
  command->callback([options] { prepare_command(*options, std::cout); });
}

void add_export(CLI::App& app) {
  auto* command = app.add_subcommand("export", "Write a trained model as a Transformers directory");
  auto options = std::make_shared<ExportCommand>();
  command->add_option("--from", options->from, "Run directory or checkpoint directory")->required()->check(CLI::ExistingDirectory);
  command->add_option("--out", options->out, "Directory to make; must not hold anything")->required();
  command->add_option("--max-shard-size", options->max_shard_bytes, "Largest weight file in bytes, or with a unit such as 500MB (10^6)")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true))
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([options] { export_command(*options, std::cout); });
}

void add_import(CLI::App& app) {
  auto* command = app.add_subcommand("import", "Make a checkpoint of a Transformers directory");
  auto options = std::make_shared<ImportCommand>();
  command->add_option("--from", options->from, "Directory with config.json and safetensors")->required()->check(CLI::ExistingDirectory);
  command->add_option("--out", options->out, "Directory to make; must not hold anything")->required();
  command->callback([options] { import_command(*options, std::cout); });
}

void add_score(CLI::App& app) {
  auto* command = app.add_subcommand("score",
                                     "Mean negative log-likelihood of the next token, in fp32 and dropless. Every id but the first of a "
                                     "sequence is scored once. A sequence longer than the model's P positions is cut into windows of P ids "
                                     "that see nothing of each other; the last id of a window predicts the first of the next.");
  auto options = std::make_shared<ScoreCommand>();
  command->add_option("--model", options->model, "Run, checkpoint or Transformers directory")->required()->check(CLI::ExistingDirectory);
  command->add_option("--tokens", options->tokens, "Ids, .npy or .bin: one dimension is one sequence, two are B sequences of L");
  command->add_option("--text", options->text, "Instead: a text file, one document for the model's tokenizer");
  command->add_option("--logits", options->logits, "Write the logits as float32 .npy, [L, V] or [B, L, V]");
  command->add_flag("--json", options->json, "One JSON object: nll, perplexity, tokens, sequences, model, step");
  auto threads = std::make_shared<int>(0);
  command->add_option("--threads", *threads)->check(CLI::PositiveNumber);
  command->callback([options, threads] {
    configure_libtorch(*threads);
    score_command(*options, std::cout);
  });
}

}  // namespace

int main(int argc, char** argv) {
  tune_memory();
  install_stop_signals();

  CLI::App app("The process that trains one Moelab run");
  app.require_subcommand(1);
  int exit_code = moelab::core::kExitDone;
  add_train(app, exit_code);
  add_generate(app);
  add_prepare(app);
  add_export(app);
  add_import(app);
  add_score(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? moelab::core::kExitDone : moelab::core::kExitUsage;
  } catch (const moelab::core::Error& error) {
    log_error("%s", error.what());
    return worker_exit_code(error.kind());
  } catch (const std::exception& error) {
    log_error("%s", error.what());
    return moelab::core::kExitRunFailed;
  }
  return exit_code;
}
