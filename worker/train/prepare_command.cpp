#include "worker/train/prepare_command.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <thread>

#include "core/error.h"
#include "worker/data/data_source.h"
#include "worker/data/durable_file.h"
#include "worker/train/log.h"
#include "worker/train/stop_signal.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void copy_tokens(const fs::path& from, const fs::path& directory, const std::string& name, std::int64_t count, std::int64_t vocab_size) {
  const MappedFile tokens(from);
  write_durably(directory / (name + ".bin"), {reinterpret_cast<const char*>(tokens.data()), tokens.bytes()});
  const json sidecar{{"vocab", vocab_size},
                     {"count", count},
                     {"dtype", token_type_for(vocab_size) == TokenType::uint16 ? "uint16" : "int32"},
                     {"tokenizer", "tokenizer.model"}};
  write_durably(directory / (name + ".json"), sidecar.dump(2) + "\n");
}

// Without a run there is no configuration to disagree with: a given tokenizer is taken as it is.
core::RunConfig data_config(const PrepareCommand& command) {
  core::RunConfig config = command.config;
  if (config.data.tokenizer.empty()) {
    if (!command.vocab_size) throw core::Error(core::ErrorKind::usage, "give --vocab-size to train a tokenizer, or --tokenizer to use one");
    config.model.vocab_size = *command.vocab_size;
    return config;
  }
  const Tokenizer tokenizer = Tokenizer::load(config.data.tokenizer);
  config.model.vocab_size = command.vocab_size.value_or(tokenizer.vocab_size());
  config.model.bos_token_id = tokenizer.bos_id();
  config.model.eos_token_id = tokenizer.eos_id();
  config.data.bos = config.data.bos && tokenizer.bos_id();
  config.data.eos = config.data.eos && tokenizer.eos_id();
  return config;
}

}  // namespace

void prepare_command(const PrepareCommand& command, std::ostream& out) {
  DataWatcher watcher;
  watcher.progress = [shown = std::string(), time = std::chrono::steady_clock::time_point()](std::string_view phase, std::int64_t done,
                                                                                             std::int64_t total) mutable {
    if (stop_requested()) throw core::Error(core::ErrorKind::usage, "interrupted; nothing was written");
    const auto now = std::chrono::steady_clock::now();
    if (phase == shown && done < total && now - time < std::chrono::seconds(1)) return;
    shown = phase;
    time = now;
    log_info("%s: %.1f of %.1f MB", shown.c_str(), static_cast<double>(done) / 1e6, static_cast<double>(total) / 1e6);
  };
  watcher.notice = [](const std::string& message) { log_info("%s", message.c_str()); };
  const int threads = command.threads > 0 ? command.threads : static_cast<int>(std::thread::hardware_concurrency());
  const TrainingData data = load_training_data(data_config(command), command.cache_dir, threads, watcher);
  const DataSummary& summary = data.summary;
  const std::int64_t vocab_size = data.tokenizer->vocab_size();

  make_directories(command.out);
  write_durably(command.out / "tokenizer.model", data.tokenizer->model());
  copy_tokens(summary.directory / "train.tokens", command.out, "train", summary.train_tokens, vocab_size);
  copy_tokens(summary.directory / "val.tokens", command.out, "val", summary.val_tokens, vocab_size);

  const json report{
      {"files", summary.files},
      {"bytes", summary.bytes},
      {"vocab_size", vocab_size},
      {"train", {{"documents", summary.train_documents}, {"tokens", summary.train_tokens}, {"blocks", data.train.size()}}},
      {"val", {{"documents", summary.val_documents}, {"tokens", summary.val_tokens}, {"blocks", data.val.size()}}},
      {"block_size", data.train.block_size()},
      {"bytes_per_token", static_cast<double>(summary.bytes) / static_cast<double>(summary.train_tokens + summary.val_tokens)},
      {"cached", summary.cached},
      {"out", command.out.string()}};
  if (command.json) {
    out << report.dump() << '\n';
    return;
  }
  out << summary.files << " files, " << summary.bytes << " bytes; vocabulary " << vocab_size << "\n";
  for (const char* part : {"train", "val"}) {
    out << part << ": " << report[part]["documents"] << " documents, " << report[part]["tokens"] << " tokens, " << report[part]["blocks"]
        << " blocks of " << data.train.block_size() << "\n";
  }
  out << "written to " << command.out.string() << "\n";
}

}  // namespace moelab::worker
