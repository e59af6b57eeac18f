#include "worker/train/routing_artifacts.h"

#include <utility>

#include "worker/data/durable_file.h"
#include "worker/train/token_types.h"

namespace moelab::worker {
namespace {

constexpr const char* kPythonDomain = "code";
constexpr std::int64_t kDocumentBytes = 64 << 10;  // beyond kTokenTypeTokens tokens of any text worth the name

}  // namespace

RoutingArtifacts::RoutingArtifacts(const core::RunConfig& config, const TrainingData& data, EventSink& events,
                                   std::filesystem::path run_dir)
    : events_(events), run_dir_(std::move(run_dir)), tokenizer_(data.tokenizer) {
  if (config.moe.num_experts > 1 && config.data.domains.contains(kPythonDomain)) {
    code_ = held_out_texts(config, kPythonDomain, kTokenTypeDocuments, kDocumentBytes);
  }
}

void RoutingArtifacts::write(std::int64_t step, LanguageModel& model, const RoutingShares& domains) {
  if (domains.empty()) return;
  nlohmann::json specialisation = domains.to_json();
  specialisation["title"] = "experts by domain";
  write_file(step, "specialisation", specialisation);
  if (code_.empty()) return;
  nlohmann::json token_types = token_type_shares(model, *tokenizer_, code_).to_json();
  token_types["title"] = "first expert by Python token";
  token_types["documents"] = code_.size();
  write_file(step, "token_types", token_types);
}

void RoutingArtifacts::write_file(std::int64_t step, const std::string& name, const nlohmann::json& content) {
  nlohmann::json whole = content;
  whole["step"] = step;
  const std::filesystem::path directory = run_dir_ / "artifacts", file = directory / (name + ".json");
  const std::filesystem::path temporary = directory / (name + ".json.tmp");
  make_directories(directory);
  write_durably(temporary, whole.dump() + "\n");
  rename_durably(temporary, file);
  events_.emit(core::EventType::artifact, step, {{"name", name}, {"path", "artifacts/" + name + ".json"}, {"kind", "routing_shares"}});
}

}  // namespace moelab::worker
