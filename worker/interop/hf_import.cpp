// Shapes: V vocabulary, D model width, E experts, f expert width.
#include "worker/interop/hf_import.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/model_shape.h"
#include "worker/interop/hf_config.h"

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

struct FfnNames {
  std::string gate, up, down;
};

struct Importer {
  const HfConfig& hf;
  const core::ModelShape& shape;
  Source& source;
  TensorMap& out;

  void swiglu(const std::string& from, const std::string& to, std::int64_t width) {
    out[to + "gate.weight"] = source.take(from + "gate_proj.weight", {width, shape.hidden});
    out[to + "up.weight"] = source.take(from + "up_proj.weight", {width, shape.hidden});
    out[to + "down.weight"] = source.take(from + "down_proj.weight", {shape.hidden, width});
  }

  // Files hold one [out, in] matrix an expert; Moedl stacks them transposed, gate columns before up columns.
  void experts(const std::string& from, const std::string& to, const FfnNames& names) {
    const auto D = shape.hidden, f = shape.expert_width;
    std::vector<torch::Tensor> gate_up, down;
    for (std::int64_t e = 0; e < shape.experts; ++e) {
      const auto expert = from + std::to_string(e) + ".";
      const auto gate_fD = source.take(expert + names.gate + ".weight", {f, D});
      const auto up_fD = source.take(expert + names.up + ".weight", {f, D});
      gate_up.push_back(torch::cat({gate_fD, up_fD}).t());
      down.push_back(source.take(expert + names.down + ".weight", {D, f}).t());
    }
    out[to + "gate_up"] = torch::stack(gate_up);
    out[to + "down"] = torch::stack(down);
  }

  void moe(const std::string& from, const std::string& to) {
    const auto D = shape.hidden, E = shape.experts;
    if (hf.architecture == HfArchitecture::mixtral) {
      out[to + "router.weight"] = source.take(from + "block_sparse_moe.gate.weight", {E, D});
      experts(from + "block_sparse_moe.experts.", to + "experts.", {"w1", "w3", "w2"});
      return;
    }
    out[to + "router.weight"] = source.take(from + "mlp.gate.weight", {E, D});
    out[to + "router.bias"] = source.take(from + "mlp.gate.e_score_correction_bias", {E});
    experts(from + "mlp.experts.", to + "experts.", {"gate_proj", "up_proj", "down_proj"});
    const auto shared = from + "mlp.shared_experts.";
    if (shape.shared > 0) {
      swiglu(shared, to + "shared.", shape.shared * shape.shared_width);
    } else if (source.has(shared + "gate_proj.weight")) {  // written with width 0 to please the loader
      source.take(shared + "gate_proj.weight", {0, D});
      source.take(shared + "up_proj.weight", {0, D});
      source.take(shared + "down_proj.weight", {D, 0});
    }
  }

  void layer(std::int64_t i) {
    const auto from = "model.layers." + std::to_string(i) + ".", to = "layers." + std::to_string(i) + ".";
    const auto D = shape.hidden, query = shape.heads * shape.head_dim, key = shape.kv_heads * shape.head_dim;
    out[to + "norm_attn.weight"] = source.take(from + "input_layernorm.weight", {D});
    out[to + "norm_mlp.weight"] = source.take(from + "post_attention_layernorm.weight", {D});
    out[to + "attn.q.weight"] = source.take(from + "self_attn.q_proj.weight", {query, D});
    out[to + "attn.k.weight"] = source.take(from + "self_attn.k_proj.weight", {key, D});
    out[to + "attn.v.weight"] = source.take(from + "self_attn.v_proj.weight", {key, D});
    out[to + "attn.o.weight"] = source.take(from + "self_attn.o_proj.weight", {D, query});
    source.drop(from + "self_attn.rotary_emb.inv_freq");  // a constant that old versions saved
    if (shape.moe_layer[static_cast<std::size_t>(i)]) {
      moe(from, to + "moe.");
    } else {
      swiglu(from + "mlp.", to + "mlp.", shape.dense_width);
    }
  }

  void model() {
    const auto V = shape.vocab, D = shape.hidden;
    out["embed_tokens.weight"] = source.take("model.embed_tokens.weight", {V, D});
    out["norm.weight"] = source.take("model.norm.weight", {D});
    if (!hf.run.model.tie_word_embeddings) {
      out["lm_head.weight"] = source.take("lm_head.weight", {V, D});
    } else if (source.has("lm_head.weight") && !source.take("lm_head.weight", {V, D}).equal(out["embed_tokens.weight"])) {
      source.refuse("lm_head.weight", "differs from the embedding though tie_word_embeddings is true");
    }
    for (std::int64_t i = 0; i < shape.layers; ++i) layer(i);
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
