#include "worker/train/generate_command.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "core/error.h"
#include "worker/data/tokenizer.h"
#include "worker/interop/weights.h"
#include "worker/train/checkpoint.h"
#include "worker/train/generate.h"

namespace moelab::worker {

namespace {

// Texts that grow together. More share the reading of the weights; their keys and values take memory.
constexpr std::size_t kBatch = 32;

std::vector<std::string> read_prompts(const std::filesystem::path& file) {
  const auto wrong = [&](const std::string& what) { return core::Error(core::ErrorKind::data, "--prompts-file: " + file.string() + what); };
  std::ifstream in(file);
  if (!in || std::filesystem::is_directory(file)) throw wrong(" cannot be read; name a text file with a prompt a line, or a .jsonl file");
  const bool json_lines = file.extension() == ".jsonl";
  std::vector<std::string> prompts;
  std::int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    if (!json_lines) {
      prompts.push_back(line);
      continue;
    }
    const nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto prompt = object.is_object() ? object.find("prompt") : object.end();
    if (!object.is_object() || prompt == object.end() || !prompt->is_string()) {
      throw wrong(":" + std::to_string(number) + ": is no JSON object with a text \"prompt\"; write {\"prompt\": \"Once upon a time\"}");
    }
    prompts.push_back(prompt->get<std::string>());
  }
  if (prompts.empty()) throw wrong(" has no prompts; write one a line");
  return prompts;
}

std::vector<std::string> prompts_of(const GenerateCommand& command) {
  const bool file_given = !command.prompts_file.empty();
  if (command.prompts.empty() && !file_given) {
    throw core::Error(core::ErrorKind::usage, "there is nothing to continue; give --prompt TEXT or --prompts-file FILE");
  }
  if (!command.prompts.empty() && file_given) {
    throw core::Error(core::ErrorKind::usage, "--prompt and --prompts-file exclude each other; put all prompts into the file");
  }
  return file_given ? read_prompts(command.prompts_file) : command.prompts;
}

// Only what a command line can get past its range checks: a comparison with "nan" is never true.
void check_numbers(const SamplingOptions& sampling) {
  if (!(sampling.temperature >= 0)) throw core::Error(core::ErrorKind::usage, "--temperature: must be a number of at least 0");
  if (!(sampling.top_p >= 0 && sampling.top_p <= 1)) throw core::Error(core::ErrorKind::usage, "--top-p: must be a number between 0 and 1");
}

}  // namespace

void generate_command(const GenerateCommand& command, std::ostream& out) {
  check_numbers(command.sampling);
  const std::vector<std::string> prompts = prompts_of(command);
  const auto directory = find_checkpoint(command.from);
  if (!directory) {
    throw core::Error(core::ErrorKind::not_found,
                      "--from: " + command.from.string() + " has no checkpoint yet; wait for the first one, or name another run");
  }
  const Checkpoint checkpoint = read_checkpoint(*directory);
  if (!std::filesystem::exists(*directory / "tokenizer.model")) {
    throw core::Error(
        core::ErrorKind::not_found,
        directory->string() + " has no tokenizer (the run trained on token files); set data.tokenizer in the run's configuration");
  }
  const Tokenizer tokenizer = Tokenizer::load(*directory / "tokenizer.model");
  // A token reads every weight once: rounding fp32 weights to bf16 anew for each token would cost more than it saves.
  core::RunConfig config = checkpoint.config;
  config.train.precision = core::Precision::fp32;
  LanguageModel model(config);
  load_weights(model, checkpoint.weights, directory->string());

  std::vector<std::vector<std::int32_t>> prompt_ids;
  for (const std::string& prompt : prompts) {
    prompt_ids.push_back(tokenizer.encode(prompt));
    if (config.data.bos && tokenizer.bos_id()) {
      prompt_ids.back().insert(prompt_ids.back().begin(), static_cast<std::int32_t>(*tokenizer.bos_id()));
    }
  }
  for (std::size_t first = 0; first < prompts.size(); first += kBatch) {
    const std::size_t last = std::min(first + kBatch, prompts.size());
    const auto begin = prompt_ids.begin();
    const auto continuations = generate(model, {begin + static_cast<std::ptrdiff_t>(first), begin + static_cast<std::ptrdiff_t>(last)},
                                        command.sampling, tokenizer.eos_id(), first);
    for (std::size_t i = first; i < last; ++i) {
      const auto& continuation = continuations[i - first];
      std::vector<std::int32_t> ids = prompt_ids[i];
      ids.insert(ids.end(), continuation.begin(), continuation.end());
      const std::string text = tokenizer.decode(ids);
      if (command.json) {
        const nlohmann::json line{{"prompt", prompts[i]},
                                  {"text", text},
                                  {"tokens", continuation},
                                  {"checkpoint", directory->string()},
                                  {"step", checkpoint.state.step}};
        out << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
      } else {
        if (i > 0) out << "---\n";
        out << text << '\n';
      }
    }
    out.flush();
  }
}

}  // namespace moelab::worker
