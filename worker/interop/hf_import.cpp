// Shapes: D model width, E experts, f expert width.
#include "worker/interop/hf_import.h"

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/model_shape.h"
#include "worker/interop/hf_config.h"
#include "worker/interop/hf_layout.h"
#include "worker/interop/safetensors_directory.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;

constexpr double kImportedBiasGamma = 0.01;  // the step that bias control uses unless the run says otherwise

// The tensors of the directory; every one must be taken, so that none is left out of the model unnoticed.
class Source {
 public:
  Source(const fs::path& directory, TensorMap tensors) : directory_(directory.string()), tensors_(std::move(tensors)) {}

  [[noreturn]] void refuse(const std::string& name, const std::string& why) const {
    throw core::Error(core::ErrorKind::config, directory_ + ": tensor " + name + " " + why);
  }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  void drop(const std::string& name) { tensors_.erase(name); }

  torch::Tensor take(const std::string& name, const std::vector<std::int64_t>& shape) {
    auto node = tensors_.extract(name);
    if (node.empty()) refuse(name, "is missing; the directory is incomplete or config.json describes another model");
    if (node.mapped().sizes() != torch::IntArrayRef(shape)) {
      refuse(name, "has shape " + text(node.mapped().sizes()) + " but config.json means " + text(shape));
    }
    if (!node.mapped().is_floating_point()) refuse(name, "does not hold floating-point numbers");
    return std::move(node.mapped());
  }
  void refuse_rest() const {
    if (!tensors_.empty()) refuse(tensors_.begin()->first, "has no place in this architecture");
  }
  template <class Predicate>
  void drop_if(Predicate&& predicate) {
    std::erase_if(tensors_, [&](const auto& entry) { return predicate(entry.first); });
  }

 private:
  static std::string text(torch::IntArrayRef shape) {
    std::string out = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
    return out + "]";
  }

  std::string directory_;
  TensorMap tensors_;
};

struct Importer {
  const HfConfig& hf;
  const core::ModelShape& shape;
  Source& source;
  TensorMap& out;

  void stack_experts(const HfExperts& experts) {
    const auto D = shape.hidden, f = shape.expert_width;
    std::vector<torch::Tensor> gate_up, down;
    for (std::int64_t e = 0; e < shape.experts; ++e) {
      const auto expert = experts.hf + std::to_string(e) + ".";
      const auto gate_fD = source.take(expert + experts.gate + ".weight", {f, D});
      const auto up_fD = source.take(expert + experts.up + ".weight", {f, D});
      gate_up.push_back(torch::cat({gate_fD, up_fD}).t());
      down.push_back(source.take(expert + experts.down + ".weight", {D, f}).t());
    }
    out[experts.moedl + "gate_up"] = torch::stack(gate_up);
    out[experts.moedl + "down"] = torch::stack(down);
  }

  void check_zero(const HfZero& zero) {
    const auto numel = std::accumulate(zero.shape.begin(), zero.shape.end(), std::int64_t{1}, std::multiplies<>());
    if (numel == 0 && !source.has(zero.hf)) return;  // a tensor of no size is written only to please the loader
    if (source.take(zero.hf, zero.shape).ne(0).any().item<bool>()) {
      source.refuse(zero.hf, "is not zero, but a shared expert behind a gate cannot be represented");
    }
  }

  void model() {
    const auto layout = hf_layout(hf.architecture, shape, hf.run.model.tie_word_embeddings, hf.gated_shared_width);
    for (const auto& tensor : layout.tensors) out[tensor.moedl] = source.take(tensor.hf, tensor.shape);
    for (const auto& experts : layout.experts) stack_experts(experts);
    for (const auto& zero : layout.zeros) check_zero(zero);
    if (hf.run.model.tie_word_embeddings && source.has("lm_head.weight") &&
        !source.take("lm_head.weight", {shape.vocab, shape.hidden}).equal(out["embed_tokens.weight"])) {
      source.refuse("lm_head.weight", "differs from the embedding though tie_word_embeddings is true");
    }
    for (std::int64_t i = 0; i < shape.layers; ++i) {  // a constant that old versions saved
      source.drop("model.layers." + std::to_string(i) + ".self_attn.rotary_emb.inv_freq");
    }
    for (std::int64_t i = shape.layers; i < shape.layers + hf.extra_layers; ++i) {
      const auto prefix = "model.layers." + std::to_string(i) + ".";
      source.drop_if([&](const std::string& name) { return name.starts_with(prefix); });
    }
    source.refuse_rest();
  }
};

bool has_nonzero_bias(const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(".router.bias") && tensor.ne(0).any().item<bool>()) return true;
  }
  return false;
}

}  // namespace

bool is_transformers_directory(const fs::path& directory) {
  std::ifstream stream(directory / "config.json");
  const auto config = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  return config.is_object() && config.contains("architectures");
}

ImportedModel import_transformers(const fs::path& directory) {
  const auto hf = read_hf_config(directory / "config.json");
  ImportedModel imported{.config = hf.run, .tensors = {}};
  Source source(directory, read_safetensors_directory(directory));
  const auto shape = core::model_shape(hf.run);
  Importer{hf, shape, source, imported.tensors}.model();
  if (has_nonzero_bias(imported.tensors)) imported.config.moe.lb_gamma = kImportedBiasGamma;
  return imported;
}

}  // namespace moelab::worker
