// moelab generate, moelab data prepare: commands that the worker executable carries out in our place.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "server/app.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

namespace fs = std::filesystem;

// Becomes moelab-worker; returns never.
int become_worker(const std::vector<std::string>& arguments) {
  std::error_code unreadable;
  const fs::path worker = fs::read_symlink("/proc/self/exe", unreadable).parent_path() / "moelab-worker";
  std::vector<std::string> all = {worker.string()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(worker.c_str(), argv.data());
  throw core::Error(core::ErrorKind::config,
                    "Cannot start " + worker.string() + " (" + std::strerror(errno) + "): build it with scripts/build.sh.");
}

// Adds "--name value" for every option of `verb` that was given, under the name the worker knows it by.
void pass_on(const CLI::App& verb, const std::vector<std::string>& names, std::vector<std::string>& arguments) {
  for (const std::string& name : names) {
    const CLI::Option* option = verb.get_option(name);
    if (option->count() == 0) continue;
    if (option->get_items_expected_max() == 0) {
      arguments.push_back(name);
      continue;
    }
    for (const std::string& value : option->results()) {
      arguments.push_back(name);
      arguments.push_back(value);
    }
  }
}

// A directory stays what it is; anything else names a run of the daemon.
std::string model_directory(const std::string& from) {
  std::error_code missing;
  if (fs::is_directory(from, missing)) return fs::absolute(from).string();
  return text_or(find_run(Client::connect(), from), "run_dir");
}

void add_generate(Verbs& verbs) {
  auto from = std::make_shared<std::string>();
  auto verb = std::make_shared<CLI::App*>(nullptr);
  *verb = &verbs.add(
      "generate", "Continue a prompt with a trained run",
      "  moelab generate a1_lb_penalty --prompt 'Once upon a time'\n  moelab generate ./checkpoint --prompt 'def ' --greedy", [from, verb] {
        std::vector<std::string> arguments = {"generate", "--from", model_directory(*from)};
        pass_on(**verb,
                {"--prompt", "--max-new-tokens", "--temperature", "--top-k", "--top-p", "--seed", "--threads", "--greedy", "--json"},
                arguments);
        return become_worker(arguments);
      });
  CLI::App& options = **verb;
  options.add_option("RUN", *from, "Id or name of a run, or a run or checkpoint directory")->required();
  options.add_option("--prompt", "Text to continue; may be repeated")->required()->take_all()->allow_extra_args(false);
  options.add_option("--max-new-tokens", "Tokens to add at most")->check(CLI::PositiveNumber);
  options.add_option("--temperature", "Above 1 bolder, below 1 safer")->check(CLI::NonNegativeNumber);
  options.add_option("--top-k", "Draw from the k likeliest tokens only")->check(CLI::NonNegativeNumber);
  options.add_option("--top-p", "Draw from the likeliest tokens that make up this probability")->check(CLI::Range(0.0, 1.0));
  options.add_option("--seed", "Seed of the draw")->check(CLI::NonNegativeNumber);
  options.add_option("--threads", "CPU threads")->check(CLI::PositiveNumber);
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
  options.add_option("--vocab-size", "Tokens of the tokenizer")->check(CLI::PositiveNumber);
  options.add_option("--tokenizer", "SentencePiece model to use instead of training one");
  options.add_option("--val-fraction", "Share of documents held out")->check(CLI::Range(0.0, 0.5));
  options.add_option("--block-size", "Tokens of a training sequence")->check(CLI::PositiveNumber);
}

}  // namespace

void add_worker_verbs(Verbs& verbs) {
  add_generate(verbs);
  add_prepare(verbs, verbs.add_group("data", "Prepare a corpus"));
}

}  // namespace moelab::server::cli
