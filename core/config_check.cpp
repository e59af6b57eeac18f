#include "core/config_check.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace moelab::core {
namespace {

constexpr double kMaxParameters = 1e15;  // far beyond any machine; keeps the counts exact in int64

std::string text(std::int64_t value) {
  return std::to_string(value);
}

class Checker {
 public:
  explicit Checker(const RunConfig& config) : config_(config) {}

  std::vector<Conflict> check() {
    check_heads();
    check_tokens();
    if (config_.moe.num_experts > 1) {
      check_routing();
      check_layers();
    }
    check_size();
    check_data();
    check_training();
    return std::move(conflicts_);
  }

 private:
  void conflict(std::vector<std::string> paths, std::string message) { conflicts_.push_back({std::move(paths), std::move(message)}); }

  void check_heads() {
    const ModelConfig& m = config_.model;
    const std::int64_t kv_heads = m.num_key_value_heads.value_or(m.num_attention_heads);
    if (m.num_attention_heads % kv_heads != 0) {
      conflict({"model.num_key_value_heads", "model.num_attention_heads"},
               text(kv_heads) + " does not divide num_attention_heads " + text(m.num_attention_heads));
    }
    if (m.head_dim) {
      if (*m.head_dim % 2 != 0) conflict({"model.head_dim"}, "must be even for rotary embeddings, not " + text(*m.head_dim));
    } else if (m.hidden_size % m.num_attention_heads != 0) {
      conflict({"model.hidden_size", "model.num_attention_heads"}, text(m.hidden_size) + " is no multiple of num_attention_heads " +
                                                                       text(m.num_attention_heads) +
                                                                       "; change one of them or set model.head_dim");
    } else if (m.hidden_size / m.num_attention_heads % 2 != 0) {
      conflict({"model.hidden_size", "model.num_attention_heads"},
               "gives an odd head size " + text(m.hidden_size) + " / " + text(m.num_attention_heads) + " = " +
                   text(m.hidden_size / m.num_attention_heads) +
                   "; rotary embeddings need an even one, so change one of them or set model.head_dim");
    }
  }

  void check_tokens() {
    const ModelConfig& m = config_.model;
    const std::pair<const char*, std::optional<std::int64_t>> ids[] = {
        {"model.pad_token_id", m.pad_token_id}, {"model.bos_token_id", m.bos_token_id}, {"model.eos_token_id", m.eos_token_id}};
    for (const auto& [path, id] : ids) {
      if (!id || *id < m.vocab_size) continue;
      conflict({path, "model.vocab_size"}, text(*id) + " is no token of a vocabulary of " + text(m.vocab_size) + "; ids start at 0");
    }
    if (m.max_position_embeddings && config_.data.block_size > *m.max_position_embeddings) {
      conflict({"data.block_size", "model.max_position_embeddings"},
               text(config_.data.block_size) + " is longer than model.max_position_embeddings " + text(*m.max_position_embeddings) +
                   " allows; leave that null to follow");
    }
  }

  void check_routing() {
    const MoeConfig& e = config_.moe;
    if (e.num_active_experts > e.num_experts) {
      conflict({"moe.num_active_experts", "moe.num_experts"},
               text(e.num_active_experts) + " active experts of only " + text(e.num_experts) + " (moe.num_experts)");
    }
    if (e.lb_coeff > 0 && e.lb_gamma > 0) {
      conflict({"moe.lb_coeff", "moe.lb_gamma"},
               "the penalty (lb_coeff) and the bias controller (lb_gamma) exclude each other; set one to 0");
    }
    if (e.top1_gate != Top1Gate::prob && e.num_active_experts > 1) {
      conflict({"moe.top1_gate", "moe.num_active_experts"},
               "one and ste are for a single active expert, and num_active_experts is " + text(e.num_active_experts) + "; use prob");
    }
  }

  void check_layers() {
    const MoeConfig& e = config_.moe;
    const std::int64_t layers = config_.model.num_hidden_layers;
    if (e.moe_layers) {
      if (e.skip_first_n_moe != 0 || e.moe_stride != 1 || e.moe_offset != 0) {
        conflict({"moe.moe_layers", "moe.skip_first_n_moe", "moe.moe_stride", "moe.moe_offset"},
                 "a list of layers and skip_first_n_moe, moe_stride or moe_offset exclude each other; keep one");
      }
      if (e.moe_layers->empty())
        conflict({"moe.moe_layers"}, "is empty; list at least one layer, or set moe.num_experts to 1 for a dense model");
      std::set<std::int64_t> seen;
      for (const std::int64_t layer : *e.moe_layers) {
        if (layer >= layers) {
          conflict({"moe.moe_layers", "model.num_hidden_layers"},
                   "there is no layer " + text(layer) + "; the last of " + text(layers) + " is " + text(layers - 1));
        }
        if (!seen.insert(layer).second) conflict({"moe.moe_layers"}, "lists layer " + text(layer) + " twice");
      }
      return;
    }
    if (e.moe_offset >= e.moe_stride) {
      conflict({"moe.moe_offset", "moe.moe_stride"}, "must be less than moe_stride " + text(e.moe_stride) + ", not " + text(e.moe_offset));
      return;
    }
    std::int64_t first = e.skip_first_n_moe;
    while (first < layers && (first - e.moe_offset) % e.moe_stride != 0) ++first;
    if (first >= layers) {
      conflict({"moe.skip_first_n_moe", "moe.moe_stride", "moe.moe_offset", "model.num_hidden_layers"},
               "leaves no MoE layer among " + text(layers) + "; lower it, or set moe.num_experts to 1 for a dense model");
    }
  }

  void check_size() {
    const ModelConfig& m = config_.model;
    const MoeConfig& e = config_.moe;
    const auto d = static_cast<double>(m.hidden_size);
    const double head =
        static_cast<double>(m.head_dim.value_or(m.hidden_size / m.num_attention_heads)) * static_cast<double>(m.num_attention_heads);
    const double expert = static_cast<double>(e.moe_intermediate_size.value_or(m.intermediate_size));
    const double shared = static_cast<double>(e.shared_intermediate_size.value_or(static_cast<std::int64_t>(expert)));
    const double ffn = std::max(static_cast<double>(m.intermediate_size),
                                expert * static_cast<double>(e.num_experts) + shared * static_cast<double>(e.num_shared_experts));
    const double count = 2 * d * static_cast<double>(m.vocab_size) +
                         static_cast<double>(m.num_hidden_layers) * d * (4 * head + 3 * ffn + static_cast<double>(e.num_experts));
    if (count > kMaxParameters) conflict({"model.hidden_size"}, "the model would have more than 1e15 parameters; check the sizes");
  }

  void check_data() {
    const DataConfig& d = config_.data;
    const bool text_given = !d.path.empty(), tokens_given = !d.tokens.empty();
    if (!text_given && !tokens_given)
      conflict({"data.path"}, "nothing to train on; name a corpus in data.path, or a token file in data.tokens");
    if (text_given && tokens_given)
      conflict({"data.tokens", "data.path"}, "a token file and a corpus exclude each other; clear one of them");
    if (!d.val_path.empty() && !text_given && tokens_given) {
      conflict({"data.val_path", "data.tokens"}, "goes with data.path; with data.tokens use data.val_tokens");
    }
    if (!d.val_tokens.empty() && !tokens_given)
      conflict({"data.val_tokens", "data.path"}, "goes with data.tokens; with data.path use data.val_path");
    if (!text_given) return;
    if (d.bos && !config_.model.bos_token_id)
      conflict({"data.bos", "model.bos_token_id"}, "needs model.bos_token_id, which is null; set data.bos to false");
    if (d.eos && !config_.model.eos_token_id)
      conflict({"data.eos", "model.eos_token_id"}, "needs model.eos_token_id, which is null; set data.eos to false");
  }

  void check_training() {
    const TrainConfig& t = config_.train;
    if (t.batch_size % t.grad_accum != 0) {
      conflict({"train.grad_accum", "train.batch_size"}, text(t.grad_accum) + " does not divide train.batch_size " + text(t.batch_size));
    }
  }

  const RunConfig& config_;
  std::vector<Conflict> conflicts_;
};

}  // namespace

std::vector<Problem> normalize_config(RunConfig& config) {
  std::vector<Problem> warnings;
  MoeConfig& moe = config.moe;
  if (moe.num_experts == 0) warnings.push_back({"moe.num_experts", 0, "0 is read as 1, a dense model"});
  if (moe.num_experts <= 1) {
    moe = MoeConfig{};
    moe.num_active_experts = 1;
  }
  return warnings;
}

std::vector<Conflict> check_config(const RunConfig& config) {
  return Checker(config).check();
}

void require_valid(const RunConfig& config, const std::string& source) {
  std::vector<Problem> problems;
  for (const Conflict& conflict : check_config(config)) problems.push_back({conflict.paths.front(), 0, conflict.message});
  if (!problems.empty()) throw Error(ErrorKind::config, source, std::move(problems));
}

}  // namespace moelab::core
