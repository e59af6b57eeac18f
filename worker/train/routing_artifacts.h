// Owns what a MoE run on domains leaves about its experts, written once, after its last evaluation:
//   artifacts/specialisation.json  share of each domain's assignments by expert, over the validation set, all K choices
//   artifacts/token_types.json     share of first choices by class of Python token, over held-out documents of the domain `code`
// Each is RoutingShares::to_json with "title", "step" and, for the second, "documents"; the server draws them. Called by train_run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "worker/data/data_source.h"
#include "worker/model/language_model.h"
#include "worker/train/event_sink.h"
#include "worker/train/routing_shares.h"

namespace moelab::worker {

class RoutingArtifacts {
 public:
  // Reads the documents of `code` at once, if there is such a domain: the end of a run depends on no file that may change.
  RoutingArtifacts(const core::RunConfig& config, const TrainingData& data, EventSink& events, std::filesystem::path run_dir);

  // domains: of the evaluation at `step`. Replaces earlier files. Errors are Error(storage).
  void write(std::int64_t step, LanguageModel& model, const RoutingShares& domains);

 private:
  void write_file(std::int64_t step, const std::string& name, const nlohmann::json& content);

  EventSink& events_;
  std::filesystem::path run_dir_;
  std::optional<Tokenizer> tokenizer_;
  std::vector<std::string> code_;
};

}  // namespace moelab::worker
