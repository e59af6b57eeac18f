#include "core/config_check.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "core/metric_catalog.h"

namespace moelab::core {
namespace {

constexpr double kMaxParameters = 1e15;  // far beyond any machine; keeps the counts exact in int64

std::string text(std::int64_t value) {
  return std::to_string(value);
}

std::string_view name_of(Routing routing) {
  for (const auto& [value, name] : EnumNames<Routing>::values) {
    if (value == routing) return name;
  }
  return "";
}

class Checker {
 public:
  explicit Checker(const RunConfig& config) : config_(config) {}

  std::vector<Conflict> check() {
    check_heads();
    check_initialisation();
    check_tokens();
    if (config_.moe.num_experts > 1) {
      check_routing();
      check_groups();
      check_router_knobs();
      check_strategy();
      check_losses();
      check_layers();
    }
    check_size();
    check_data();
    check_training();
    check_early_stop();
    check_resources();
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

  void check_initialisation() {
    const ModelConfig& m = config_.model;
    if (m.qk_norm == QkNorm::full && m.head_dim && *m.head_dim * m.num_attention_heads != m.hidden_size) {
      conflict({"model.qk_norm", "model.head_dim", "model.hidden_size"},
               "full needs head_dim = hidden_size / num_attention_heads, as in OLMoE; use head, or leave head_dim null");
    }
    require_default("model.init_scale", m.init_scheme == InitScheme::switch_scaled || m.init_scale == ModelConfig{}.init_scale,
                    "needs model.init_scheme switch");
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

  // Groups hold neighbouring experts: e belongs to group floor(e / (E / G)).
  void check_groups() {
    const MoeConfig& e = config_.moe;
    const std::int64_t size = e.num_experts / e.n_group;
    if (e.num_experts % e.n_group != 0) {
      conflict({"moe.n_group", "moe.num_experts"}, text(e.n_group) + " groups do not divide moe.num_experts " + text(e.num_experts));
      return;
    }
    if (e.topk_group > e.n_group) {
      conflict({"moe.topk_group", "moe.n_group"}, text(e.topk_group) + " groups of only " + text(e.n_group) + " (moe.n_group)");
    } else if (e.n_group > 1 && e.num_active_experts > e.topk_group * size) {
      conflict({"moe.num_active_experts", "moe.topk_group", "moe.n_group"},
               text(e.num_active_experts) + " active experts, but " + text(e.topk_group) + " group(s) of " + text(size) + " hold only " +
                   text(e.topk_group * size) + "; raise moe.topk_group");
    }
    if (e.n_group == 1) {
      require_default("moe.group_score", e.group_score == MoeConfig{}.group_score, "needs moe.n_group above 1");
    } else if (e.group_score == GroupScore::top2sum && size < 2) {
      conflict({"moe.group_score", "moe.n_group"}, "top2sum needs two experts in a group; use max or fewer groups");
    }
  }

  // A knob that only one choice of another knob reads, set without it, is a mistake about what the run does.
  void require_default(const char* path, bool is_default, const std::string& need) {
    if (!is_default) conflict({path}, need + "; nothing reads it otherwise, so leave it out");
  }

  void check_router_knobs() {
    const MoeConfig& e = config_.moe;
    const MoeConfig defaults;
    const bool annealed = e.router_noise == RouterNoise::annealed;
    require_default("moe.noise_std", annealed || e.noise_std == defaults.noise_std, "needs moe.router_noise annealed");
    require_default("moe.noise_anneal_frac", annealed || e.noise_anneal_frac == defaults.noise_anneal_frac,
                    "needs moe.router_noise annealed");
    require_default("moe.jitter_eps", e.router_noise == RouterNoise::jitter || e.jitter_eps == defaults.jitter_eps,
                    "needs moe.router_noise jitter");
    if (e.router_init == RouterInit::orthogonal && e.num_experts > config_.model.hidden_size) {
      conflict({"moe.router_init", "moe.num_experts", "model.hidden_size"},
               "orthogonal rows need no more experts than model.hidden_size " + text(config_.model.hidden_size));
    }
    if (e.lb_gamma > 0) {
      if (e.lb_bias_target == BiasTarget::logit && e.n_group > 1 && e.group_score == GroupScore::top2sum) {
        conflict({"moe.group_score", "moe.lb_bias_target"}, "top2sum adds scores, and logits are none; use max, or lb_bias_target score");
      }
    } else {
      require_default("moe.lb_bias_rule", e.lb_bias_rule == defaults.lb_bias_rule, "needs moe.lb_gamma above 0");
      require_default("moe.lb_bias_interval", e.lb_bias_interval == defaults.lb_bias_interval, "needs moe.lb_gamma above 0");
      require_default("moe.lb_bias_target", e.lb_bias_target == defaults.lb_bias_target, "needs moe.lb_gamma above 0");
    }
  }

  void refuse_with(const char* path, bool set, const std::string& why) {
    if (set) conflict({path, "moe.routing"}, why);
  }

  // What each way of matching tokens and experts can be combined with.
  void check_strategy() {
    const MoeConfig& e = config_.moe;
    const MoeConfig defaults;
    const bool expert_choice = e.routing == Routing::expert_choice, random = e.routing == Routing::random,
               hash = e.routing == Routing::hash, base = e.routing == Routing::base, reinforce = e.routing == Routing::reinforce;
    if (e.routing != Routing::token_choice) {
      const std::string only = "is for moe.routing token_choice; " + std::string(name_of(e.routing)) + " has its own rule, so leave it out";
      refuse_with("moe.score_fn", e.score_fn != defaults.score_fn, only);
      refuse_with("moe.norm_topk_prob", e.norm_topk_prob != defaults.norm_topk_prob, only);
      refuse_with("moe.top1_gate", e.top1_gate != defaults.top1_gate, only);
      refuse_with("moe.routed_scaling_factor", e.routed_scaling_factor != defaults.routed_scaling_factor, only);
      refuse_with("moe.n_group", e.n_group != defaults.n_group, only);
      refuse_with("moe.router_noise", e.router_noise != defaults.router_noise, only);
      refuse_with("moe.lb_gamma", e.lb_gamma > 0, only);
    }
    if (expert_choice || base) {
      const std::string why =
          "every expert takes equally many tokens by itself with moe.routing " + std::string(name_of(e.routing)) + "; set it to 0";
      refuse_with("moe.capacity_factor", e.capacity_factor > 0, why);
      refuse_with("moe.eval_capacity_factor", e.eval_capacity_factor > 0, why);
      refuse_with("moe.lb_coeff", e.lb_coeff > 0, why);
    }
    refuse_with("moe.lb_coeff", e.routing == Routing::sinkhorn && e.lb_coeff > 0, "sinkhorn balances by itself; set it to 0");
    if (base || reinforce) {
      refuse_with("moe.num_active_experts", e.num_active_experts > 1,
                  std::string(name_of(e.routing)) + " sends a token to one expert, so it must be 1, not " + text(e.num_active_experts));
    }
    if (hash || random) {
      const std::string why = "nothing of the router is learned with moe.routing " + std::string(name_of(e.routing)) + "; set it to 0";
      refuse_with("moe.lb_coeff", e.lb_coeff > 0, why);
      refuse_with("moe.z_loss_coeff", e.z_loss_coeff > 0, why);
      refuse_with("moe.orth_coeff", e.orth_coeff > 0, why);
    }
    refuse_with("moe.router_init",
                e.router_init != defaults.router_init && (base || hash || (random && e.random_mode == RandomMode::fresh)),
                base ? "base always starts from orthogonal centroids; leave it out"
                     : std::string(name_of(e.routing)) + " has no router matrix to draw; leave it out");
    if (base && e.num_experts > config_.model.hidden_size) {
      conflict(
          {"moe.num_experts", "model.hidden_size"},
          "base starts from orthogonal centroids, so it needs no more experts than model.hidden_size " + text(config_.model.hidden_size));
    }
    require_default("moe.ec_capacity", expert_choice || e.ec_capacity == defaults.ec_capacity, "needs moe.routing expert_choice");
    require_default("moe.ec_scope", expert_choice || e.ec_scope == defaults.ec_scope, "needs moe.routing expert_choice");
    require_default("moe.hash_mode", hash || e.hash_mode == defaults.hash_mode, "needs moe.routing hash");
    require_default("moe.random_mode", random || e.random_mode == defaults.random_mode, "needs moe.routing random");
    require_default("moe.rl_coeff", reinforce || e.rl_coeff == defaults.rl_coeff, "needs moe.routing reinforce");
    require_default("moe.ent_coeff", reinforce || e.ent_coeff == defaults.ent_coeff, "needs moe.routing reinforce");
  }

  void check_losses() {
    const MoeConfig& e = config_.moe;
    const bool token_choice = e.routing == Routing::token_choice;
    for (const auto& [path, coefficient] : {std::pair{"moe.device_coeff", e.device_coeff}, {"moe.comm_coeff", e.comm_coeff}}) {
      if (coefficient > 0 && e.n_group == 1) conflict({path, "moe.n_group"}, "balances groups of experts, so it needs moe.n_group above 1");
    }
    for (const auto& [path, coefficient] : {std::pair{"moe.seq_aux_coeff", e.seq_aux_coeff},
                                            {"moe.cv_importance_coeff", e.cv_importance_coeff},
                                            {"moe.cv_load_coeff", e.cv_load_coeff}}) {
      refuse_with(path, coefficient > 0 && !token_choice,
                  "is a loss on token choice; set it to 0 with moe.routing " + std::string(name_of(e.routing)));
    }
    if (e.cv_load_coeff > 0 && e.router_noise != RouterNoise::learned) {
      conflict({"moe.cv_load_coeff", "moe.router_noise"},
               "smooths the load by the router's own noise, so it needs moe.router_noise learned");
    }
    if (e.cv_load_coeff > 0 && (e.num_active_experts >= e.num_experts || e.score_fn == ScoreFn::sigmoid || e.lb_gamma > 0)) {
      conflict({"moe.cv_load_coeff", "moe.num_active_experts", "moe.score_fn", "moe.lb_gamma"},
               "needs softmax scores without expert biases and fewer active experts than experts");
    }
    if (e.orth_coeff > 0 && e.num_experts > config_.model.hidden_size) {
      conflict({"moe.orth_coeff", "moe.num_experts", "model.hidden_size"},
               "more experts than model.hidden_size " + text(config_.model.hidden_size) + " can never have orthogonal routers");
    }
    if (e.mtp_depth > 0 && config_.data.block_size <= e.mtp_depth + 1) {
      conflict({"moe.mtp_depth", "data.block_size"},
               "predicts beyond every block of " + text(config_.data.block_size) + " tokens; lower it");
    }
    require_default("moe.mtp_coeff", e.mtp_depth > 0 || e.mtp_coeff == MoeConfig{}.mtp_coeff, "needs moe.mtp_depth above 0");
  }

  void check_early_stop() {
    const EarlyStopConfig& stop = config_.early_stop;
    const EarlyStopConfig defaults;
    if (!stop.collapse) {
      const std::string need = "needs early_stop.collapse true";
      require_default("early_stop.collapse_load", stop.collapse_load == defaults.collapse_load, need);
      require_default("early_stop.collapse_interval", stop.collapse_interval == defaults.collapse_interval, need);
      require_default("early_stop.collapse_patience", stop.collapse_patience == defaults.collapse_patience, need);
      return;
    }
    const MoeConfig& e = config_.moe;
    const double most = 1 / static_cast<double>(e.num_active_experts);
    if (e.num_experts > 1 && e.num_experts > e.num_active_experts && stop.collapse_load >= most) {
      conflict({"early_stop.collapse_load", "moe.num_active_experts"}, "can never be passed: with " + text(e.num_active_experts) +
                                                                           " active experts no expert holds more than 1/" +
                                                                           text(e.num_active_experts) + " of the assignments; lower it");
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
    const bool domains_given = !d.domains.empty();
    if (domains_given) check_domains();
    const bool path_given = !d.path.empty(), tokens_given = !d.tokens.empty();
    if (!path_given && !tokens_given && !domains_given)
      conflict({"data.path"}, "nothing to train on; name a corpus in data.path, or a token file in data.tokens");
    if (path_given && tokens_given)
      conflict({"data.tokens", "data.path"}, "a token file and a corpus exclude each other; clear one of them");
    if (!d.val_path.empty() && !path_given && tokens_given) {
      conflict({"data.val_path", "data.tokens"}, "goes with data.path; with data.tokens use data.val_tokens");
    }
    if (!d.val_tokens.empty() && !tokens_given && !domains_given)
      conflict({"data.val_tokens", "data.path"}, "goes with data.tokens; with data.path use data.val_path");
    if (!path_given && !domains_given) return;
    if (d.bos && !config_.model.bos_token_id)
      conflict({"data.bos", "model.bos_token_id"}, "needs model.bos_token_id, which is null; set data.bos to false");
    if (d.eos && !config_.model.eos_token_id)
      conflict({"data.eos", "model.eos_token_id"}, "needs model.eos_token_id, which is null; set data.eos to false");
  }

  void check_domains() {
    const DataConfig& d = config_.data;
    const auto excludes = [&](bool given, const char* path, const std::string& remedy) {
      if (given) conflict({"data.domains", path}, std::string("excludes ") + path + "; " + remedy);
    };
    excludes(!d.path.empty(), "data.path", "clear one of them: [] is no path, {} no domains");
    excludes(!d.tokens.empty(), "data.tokens", "domains are text; clear one of them");
    excludes(!d.val_path.empty(), "data.val_path", "documents of every domain are held out by data.val_fraction, so clear it");
    excludes(!d.val_tokens.empty(), "data.val_tokens", "documents of every domain are held out by data.val_fraction, so clear it");
    for (const auto& [name, paths] : d.domains) {
      if (!is_metric_of_all(name)) continue;
      conflict({"data.domains"}, "a domain cannot be called '" + name + "': eval/loss_" + name + " is another metric; rename it");
    }
  }

  // eval/loss_<name> and its kin say something about all of the text.
  static bool is_metric_of_all(const std::string& name) {
    static const std::set<std::string> kKept{"hf", "leaky", "hf_leaky", "causal"};
    const auto taken = [&](const char* prefix) {
      const MetricInfo* info = find_metric(prefix + name);
      return info != nullptr && info->name.find('{') == std::string_view::npos;
    };
    return kKept.contains(name) || taken("train/loss_") || taken("eval/loss_") || taken("eval/ppl_");
  }

  // They become arguments of sbatch.
  void check_resources() {
    const ResourceConfig& r = config_.resources;
    for (const auto& [path, name] : {std::pair("resources.partition", &r.partition), std::pair("resources.account", &r.account),
                                     std::pair("resources.qos", &r.qos)}) {
      const bool plain =
          std::all_of(name->begin(), name->end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.' || c == '-'; });
      if (!plain || name->starts_with('-')) conflict({path}, "'" + *name + "' is no name in Slurm: letters, digits, '_', '.' and '-' only");
    }
  }

  void check_training() {
    const TrainConfig& t = config_.train;
    if (t.batch_size % t.grad_accum != 0) {
      conflict({"train.grad_accum", "train.batch_size"}, text(t.grad_accum) + " does not divide train.batch_size " + text(t.batch_size));
    }
    check_freezing();
    if (t.upcycle) {
      check_upcycling();
    } else {
      require_default("train.upcycle_noise", t.upcycle_noise == TrainConfig{}.upcycle_noise, "needs train.upcycle");
    }
  }

  void check_freezing() {
    const TrainConfig& t = config_.train;
    const MoeConfig& e = config_.moe;
    if (e.num_experts <= 1) {
      require_default("train.freeze_experts", !t.freeze_experts, "needs moe.num_experts above 1");
      require_default("train.freeze_router", !t.freeze_router, "needs moe.num_experts above 1");
      if (t.freeze_trunk) {
        conflict({"train.freeze_trunk", "moe.num_experts"},
                 "leaves nothing to train: every weight of a dense model is trunk; set it to false");
      }
      return;
    }
    if (!t.freeze_experts || !t.freeze_trunk) return;
    if (t.freeze_router) {
      conflict({"train.freeze_trunk", "train.freeze_experts", "train.freeze_router"},
               "leaves nothing to train together with freeze_experts and freeze_router; set one of them to false");
    } else if (e.num_active_experts == 1 && e.top1_gate == Top1Gate::one && e.lb_coeff == 0 && e.z_loss_coeff == 0) {
      conflict({"train.freeze_trunk", "train.freeze_experts", "moe.top1_gate"},
               "leaves the routers alone to train, and they get no gradient through moe.top1_gate one; use ste or prob, or freeze less");
    }
  }

  // Every expert starts as the dense FFN, so the layer computes what the FFN did if its combine weights sum to 1.
  void check_upcycling() {
    const ModelConfig& m = config_.model;
    const MoeConfig& e = config_.moe;
    if (config_.train.init_from.empty()) {
      conflict({"train.upcycle", "train.init_from"}, "needs train.init_from, the dense model to start from");
    }
    if (e.num_experts <= 1) {
      conflict({"train.upcycle", "moe.num_experts"},
               "makes experts, and this model is dense; set moe.num_experts above 1, or upcycle to false");
      return;
    }
    if (e.num_shared_experts > 0) {
      conflict({"moe.num_shared_experts", "train.upcycle"},
               "must be 0 with train.upcycle: nothing in a dense model corresponds to a shared expert");
    }
    const std::int64_t width = e.moe_intermediate_size.value_or(m.intermediate_size);
    if (width != m.intermediate_size) {
      conflict({"moe.moe_intermediate_size", "model.intermediate_size", "train.upcycle"},
               text(width) + " is not the width " + text(m.intermediate_size) +
                   " of the dense FFNs (model.intermediate_size) that train.upcycle copies; leave it null");
    }
    const bool normalized = e.norm_topk_prob == NormTopk::yes || (e.norm_topk_prob == NormTopk::automatic && e.num_active_experts > 1);
    const bool constant_gate = e.num_active_experts == 1 && e.top1_gate != Top1Gate::prob;
    if (e.routing == Routing::expert_choice || e.routing == Routing::base || e.routing == Routing::sinkhorn) {
      conflict({"moe.routing", "train.upcycle"},
               std::string(name_of(e.routing)) +
                   " weighs experts by scores that do not sum to 1, so the upcycled model would not compute what the dense "
                   "one does; use another, or upcycle false");
    } else if (e.routing == Routing::token_choice && !normalized && !constant_gate) {
      conflict({"moe.norm_topk_prob", "moe.top1_gate", "moe.num_active_experts", "train.upcycle"},
               std::string("train.upcycle needs combine weights that sum to 1; set norm_topk_prob to true") +
                   (e.num_active_experts == 1 ? ", or moe.top1_gate to ste" : ""));
    }
    if (e.routed_scaling_factor != 1) {
      conflict({"moe.routed_scaling_factor", "train.upcycle"}, "must be 1 with train.upcycle, which needs combine weights that sum to 1");
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
