// moelab generate, moelab data prepare: commands that the worker executable carries out in our place.
#include "core/error.h"
#include "server/app.h"
#include "server/cli/become_worker.h"
#include "server/cli/checks.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

void add_generate(Verbs& verbs) {
  auto from = std::make_shared<std::string>();
  auto verb = std::make_shared<CLI::App*>(nullptr);
  *verb =
      &verbs.add("generate", "Continue a prompt with a trained run",
                 "  moelab generate a1_lb_penalty --prompt 'Once upon a time'\n"
                 "  moelab generate ./checkpoint --prompts-file scripts/prompts/tiny_stories.txt --greedy",
                 [from, verb] {
                   if ((*verb)->count("--prompt") == 0 && (*verb)->count("--prompts-file") == 0) {
                     throw core::Error(core::ErrorKind::usage, "There is nothing to continue: give --prompt TEXT or --prompts-file FILE.");
                   }
                   std::vector<std::string> arguments = {"generate", "--from", model_directory(*from)};
                   pass_on(**verb,
                           {"--prompt", "--prompts-file", "--max-new-tokens", "--temperature", "--top-k", "--top-p", "--seed", "--threads",
                            "--greedy", "--json"},
                           arguments);
                   return become_worker(arguments);
                 });
  CLI::App& options = **verb;
  options.add_option("RUN", *from, "Id or name of a run, or a run or checkpoint directory")->required();
  options.add_option("--prompt", "Text to continue; may be repeated")->take_all()->allow_extra_args(false);
  options.add_option("--prompts-file", "A prompt a line, or .jsonl with a \"prompt\" in each line")
      ->check(CLI::ExistingFile)
      ->excludes("--prompt");
  options.add_option("--max-new-tokens", "Tokens to add at most")->check(whole_number(1));
  options.add_option("--temperature", "Above 1 bolder, below 1 safer")->check(number_from(0));
  options.add_option("--top-k", "Draw from the k likeliest tokens only")->check(whole_number(0));
  options.add_option("--top-p", "Draw from the likeliest tokens that make up this probability")->check(CLI::Range(0.0, 1.0));
  options.add_option("--seed", "Seed of the draw")->check(whole_number(0));
  options.add_option("--threads", "CPU threads")->check(whole_number(1));
  options.add_flag_function(
      "--greedy", [](std::int64_t) {}, "Always take the likeliest token");
  options.add_flag_function(
      "--json", [](std::int64_t) {}, "As JSON");
}

void add_prepare(Verbs& verbs, CLI::App& group) {
  auto paths = std::make_shared<std::vector<std::string>>();
  auto verb = std::make_shared<CLI::App*>(nullptr);
  *verb = &verbs.add_to(group, "prepare", "Train or load a tokenizer, tokenise a corpus, print a summary",
                        "  moelab data prepare ./texts --out ./prepared --vocab-size 4096", [paths, verb] {
                          std::vector<std::string> arguments = {"prepare"};
                          for (const std::string& path : *paths) arguments.insert(arguments.end(), {"--path", path});
                          pass_on(**verb, {"--out", "--vocab-size", "--tokenizer", "--val-fraction", "--block-size"}, arguments);
                          arguments.insert(arguments.end(), {"--cache-dir", (default_home() / "cache").string()});
                          return become_worker(arguments);
                        });
  CLI::App& options = **verb;
  options.add_option("PATH", *paths, "Files, directories or globs of .txt and .jsonl")->required();
  options.add_option("--out", "Directory for the tokenizer and the summary")->required();
  options.add_option("--vocab-size", "Tokens of the tokenizer")->check(whole_number(1));
  options.add_option("--tokenizer", "SentencePiece model to use instead of training one");
  options.add_option("--val-fraction", "Share of documents held out")->check(CLI::Range(0.0, 0.5));
  options.add_option("--block-size", "Tokens of a training sequence")->check(whole_number(1));
}

}  // namespace

void add_worker_verbs(Verbs& verbs) {
  add_generate(verbs);
  add_prepare(verbs, verbs.add_group("data", "Prepare a corpus"));
}

}  // namespace moelab::server::cli
