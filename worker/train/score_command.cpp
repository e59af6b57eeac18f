#include "worker/train/score_command.h"

#include <cmath>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/json_number.h"
#include "worker/data/mapped_file.h"
#include "worker/data/npy_writer.h"
#include "worker/data/token_file.h"
#include "worker/data/tokenizer.h"
#include "worker/interop/weights.h"
#include "worker/train/score.h"
#include "worker/train/stored_model.h"

namespace moelab::worker {
namespace {

struct ScoredIds {
  torch::Tensor ids_BL;             // int64
  std::vector<std::int64_t> shape;  // of the input: [L] or [B, L]
};

ScoredIds ids_of_file(const std::filesystem::path& file, std::int64_t vocab_size) {
  const TokenMatrix matrix = read_token_matrix(file, vocab_size, "--tokens");
  ScoredIds out{.ids_BL = torch::empty({matrix.rows, matrix.columns}, torch::kInt64), .shape = {matrix.columns}};
  matrix.ids.copy(0, matrix.ids.size(), out.ids_BL.mutable_data_ptr<std::int64_t>());
  if (!matrix.one_dimension) out.shape.insert(out.shape.begin(), matrix.rows);
  return out;
}

// As a document of a corpus: [bos] ids [eos], by the configuration of the run.
ScoredIds ids_of_text(const std::filesystem::path& file, const StoredModel& model) {
  if (!std::filesystem::is_regular_file(file)) throw core::Error(core::ErrorKind::not_found, "--text: no such file: " + file.string());
  if (model.tokenizer.empty()) {
    throw core::Error(core::ErrorKind::not_found, model.directory.string() + " has no tokenizer; give --tokens instead of --text");
  }
  const Tokenizer tokenizer = Tokenizer::load(model.tokenizer);
  if (tokenizer.vocab_size() > model.config.model.vocab_size) {
    throw core::Error(core::ErrorKind::data, model.tokenizer.string() + " has more tokens than the model; give --tokens instead of --text");
  }
  std::vector<std::int64_t> ids;
  if (model.config.data.bos && tokenizer.bos_id()) ids.push_back(*tokenizer.bos_id());
  const auto encoded = tokenizer.encode(MappedFile(file).text());
  ids.insert(ids.end(), encoded.begin(), encoded.end());
  if (model.config.data.eos && tokenizer.eos_id()) ids.push_back(*tokenizer.eos_id());
  const auto length = static_cast<std::int64_t>(ids.size());
  return {.ids_BL = torch::tensor(ids, torch::kInt64).unsqueeze(0), .shape = {length}};
}

}  // namespace

void score_command(const ScoreCommand& command, std::ostream& out) {
  if (command.tokens.empty() == command.text.empty()) {
    throw core::Error(core::ErrorKind::usage, "give either --tokens or --text");
  }
  StoredModel stored = read_stored_model(command.model, "--model");
  stored.config.train.precision = core::Precision::fp32;  // the weights are fp32; rounding on the way would only blur the score
  const auto input =
      command.tokens.empty() ? ids_of_text(command.text, stored) : ids_of_file(command.tokens, stored.config.model.vocab_size);
  if (input.ids_BL.size(1) < 2) {
    throw core::Error(core::ErrorKind::data, "there is no next token to score; give sequences of two ids or more");
  }
  LanguageModel model(stored.config);
  load_weights(model, stored.weights, stored.directory.string());

  std::optional<NpyWriter> writer;
  LogitsSink sink;
  if (!command.logits.empty()) {
    auto shape = input.shape;
    shape.push_back(stored.config.model.vocab_size);
    writer.emplace(command.logits, shape);
    sink = [&](const torch::Tensor& logits_NV) {
      writer->append(std::span(logits_NV.const_data_ptr<float>(), static_cast<std::size_t>(logits_NV.numel())));
    };
  }
  const Score result = score(model, input.ids_BL, sink);
  if (writer) writer->commit();

  const double mean = result.nll_sum / static_cast<double>(result.tokens);
  if (command.json) {
    const nlohmann::json line{{"nll", core::number_to_json(mean)},
                              {"perplexity", core::number_to_json(std::exp(mean))},
                              {"tokens", result.tokens},
                              {"sequences", input.ids_BL.size(0)},
                              {"model", stored.directory.string()},
                              {"step", stored.step}};
    out << line.dump() << '\n';
    return;
  }
  out << "mean NLL " << std::setprecision(9) << mean << " nats over " << result.tokens << " tokens (perplexity " << std::setprecision(6)
      << std::exp(mean) << ")\n";
}

}  // namespace moelab::worker
