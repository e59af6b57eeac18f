// Owns every knob of a run: its name, default, range, unit and doc line, each declared once in `for_each_field`.
// YAML and JSON reading, unknown-key and range errors, sweep paths, the run key, run diffs and `moelab schema`
// all walk that one function. Names and defaults follow the MoE literature; formulas are cited where they are used.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moelab::core {

enum class Routing {
#define MOELAB_ROUTING(name, doc) name,
#include "core/routing_strategies.def"
#undef MOELAB_ROUTING
};
enum class ScoreFn { automatic, softmax, sigmoid };
enum class NormTopk { automatic, yes, no };
enum class Top1Gate { prob, one, ste };
enum class RouterDtype { fp32, autocast };
enum class LbPool { per_layer, all_layers };
enum class BiasRule { proportional, sign };
enum class DropPolicy { score, position };
enum class Schedule { cosine, linear, constant };
enum class Precision { fp32, bf16 };
enum class HiddenAct { silu };
enum class QkNorm { none, head, full };
enum class InitScheme { normal, resid_scaled, switch_scaled };
enum class RouterInit { normal, orthogonal };
enum class RouterNoise { none, annealed, learned, jitter };
enum class GroupScore { max, top2sum };
enum class BiasTarget { score, logit };
enum class ChoiceScope { batch, sequence };
enum class HashMode { random, balanced };
enum class RandomMode { fresh, frozen };
enum class LauncherKind { automatic, process, slurm };

// Spelling of each enumerator in YAML, JSON and errors; the order is the order shown to people.
template <class E>
struct EnumNames;

struct Seconds {
  std::int64_t count = 0;  // YAML accepts 90, "90s", "15m", "6h", "2d"; 0 = no limit
  bool operator==(const Seconds&) const = default;
};

// Corpora by the name of their domain. The order is that of the names, so the order in a file decides nothing.
using DomainPaths = std::map<std::string, std::vector<std::string>>;

struct ModelConfig {
  std::int64_t vocab_size = 32000;
  std::int64_t hidden_size = 768;
  std::int64_t num_hidden_layers = 8;
  std::int64_t num_attention_heads = 16;
  std::optional<std::int64_t> num_key_value_heads;
  std::optional<std::int64_t> head_dim;
  std::int64_t intermediate_size = 2048;
  HiddenAct hidden_act = HiddenAct::silu;
  std::optional<std::int64_t> max_position_embeddings;
  double rope_theta = 1e4;
  double rms_norm_eps = 1e-6;
  bool attention_bias = false;
  bool mlp_bias = false;
  double attention_dropout = 0;
  QkNorm qk_norm = QkNorm::none;
  bool tie_word_embeddings = false;
  InitScheme init_scheme = InitScheme::normal;
  double initializer_range = 0.02;
  double init_scale = 1;
  std::optional<std::int64_t> pad_token_id;
  std::optional<std::int64_t> bos_token_id = 1;
  std::optional<std::int64_t> eos_token_id = 2;
};

struct MoeConfig {
  std::int64_t num_experts = 1;
  std::int64_t num_active_experts = 2;
  std::int64_t num_shared_experts = 0;
  std::optional<std::int64_t> moe_intermediate_size;
  std::optional<std::int64_t> shared_intermediate_size;
  std::optional<std::vector<std::int64_t>> moe_layers;
  std::int64_t skip_first_n_moe = 0;
  std::int64_t moe_stride = 1;
  std::int64_t moe_offset = 0;
  Routing routing = Routing::token_choice;
  ScoreFn score_fn = ScoreFn::automatic;
  NormTopk norm_topk_prob = NormTopk::automatic;
  Top1Gate top1_gate = Top1Gate::prob;
  double routed_scaling_factor = 1;
  std::int64_t n_group = 1;
  std::int64_t topk_group = 1;
  GroupScore group_score = GroupScore::max;
  RouterNoise router_noise = RouterNoise::none;
  double noise_std = 0.1;
  double noise_anneal_frac = 0.25;
  double jitter_eps = 0.01;
  RouterInit router_init = RouterInit::normal;
  RouterDtype router_dtype = RouterDtype::fp32;
  double lb_coeff = 0;
  LbPool lb_pool = LbPool::per_layer;
  double lb_gamma = 0;
  BiasRule lb_bias_rule = BiasRule::proportional;
  std::int64_t lb_bias_interval = 1;
  BiasTarget lb_bias_target = BiasTarget::score;
  double z_loss_coeff = 0;
  double seq_aux_coeff = 0;
  double device_coeff = 0;
  double comm_coeff = 0;
  double orth_coeff = 0;
  double cv_importance_coeff = 0;
  double cv_load_coeff = 0;
  double ec_capacity = 1;
  ChoiceScope ec_scope = ChoiceScope::batch;
  HashMode hash_mode = HashMode::random;
  RandomMode random_mode = RandomMode::fresh;
  double rl_coeff = 0.1;
  double ent_coeff = 0.01;
  std::int64_t mtp_depth = 0;
  double mtp_coeff = 0.3;
  double capacity_factor = 0;
  double eval_capacity_factor = 0;
  DropPolicy drop_policy = DropPolicy::score;
  std::int64_t min_capacity = 1;
};

struct DataConfig {
  std::vector<std::string> path;
  std::vector<std::string> val_path;
  DomainPaths domains;
  std::string tokens;
  std::string val_tokens;
  double val_fraction = 0.05;
  std::string tokenizer;
  std::string text_field = "text";
  std::int64_t block_size = 512;
  bool bos = true;
  bool eos = false;
  bool shuffle = true;
  std::int64_t seed = 1001;
};

struct TrainConfig {
  double lr = 8e-4;
  Schedule schedule = Schedule::cosine;
  double warmup_ratio = 0.01;
  std::optional<std::int64_t> warmup_steps;
  double epochs = 2;
  std::optional<std::int64_t> max_steps;
  std::int64_t batch_size = 128;
  std::int64_t grad_accum = 1;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  double grad_clip = 1.0;
  Precision precision = Precision::fp32;
  std::string init_from;
  bool upcycle = false;
  double upcycle_noise = 1e-3;
  bool freeze_experts = false;
  bool freeze_router = false;
  bool freeze_trunk = false;
  std::int64_t log_interval = 1;
  std::int64_t expert_load_interval = 10;
  std::int64_t eval_interval = 500;
  std::int64_t save_interval = 2000;
};

struct CheckpointConfig {
  std::int64_t keep_last = 2;
  std::int64_t keep_best = 1;
};

struct EarlyStopConfig {
  bool collapse = false;
  double collapse_load = 0.6;
  std::int64_t collapse_interval = 100;
  std::int64_t collapse_patience = 3;
  bool alerts = false;
};

struct ResourceConfig {
  std::optional<std::int64_t> gpus;
  std::optional<std::int64_t> cpus;
  std::optional<double> memory_gb;
  bool share_gpu = false;
  Seconds timeout;
  Seconds hang_timeout{1800};
  std::int64_t max_restarts = 3;
  bool halve_on_oom = false;
  LauncherKind launcher = LauncherKind::automatic;
  std::string partition;
  std::string account;
  std::string qos;
};

// A fully resolved run: plain values, no matrix syntax left.
struct RunConfig {
  std::int64_t seed = 0;
  ModelConfig model;
  MoeConfig moe;
  DataConfig data;
  TrainConfig train;
  CheckpointConfig checkpoint;
  EarlyStopConfig early_stop;
  ResourceConfig resources;
};

// What a knob decides, and so whether it enters the run key.
enum class FieldScope {
  result,     // changes what is computed or recorded: part of the key
  source,     // names a file; the key holds the SHA-256 of the content instead of the name
  operation,  // where, how long, what is kept: not part of the key
};

// Closed interval unless `min_open`. For strings and enums it is unused.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_open = false;
};

struct FieldInfo {
  std::string_view path;  // dotted key, e.g. "moe.lb_coeff"
  Range range;
  std::string_view unit;  // "" for a pure number
  std::string_view doc;   // one line, shown by `moelab schema` and in the dashboard
  FieldScope scope = FieldScope::result;
};

inline constexpr double kMaxInt = 9.0e15;  // largest integer that YAML, JSON and JavaScript all keep exact

// Calls visit(const FieldInfo&, Field&) for every knob, in the order shown to people. `Config` is RunConfig or const RunConfig.
template <class Config, class Visit>
void for_each_field(Config& c, Visit&& visit) {
  using enum FieldScope;
  const Range at_least_0{0, kMaxInt}, at_least_1{1, kMaxInt}, positive{0, 1e30, true}, non_negative{0, 1e30}, fraction{0, 1};
  const Range only_0{0, 0};
  const Range any{};

  visit(FieldInfo{"seed", at_least_0, "", "Seed of initialisation and of every random choice in training"}, c.seed);

  auto& m = c.model;
  visit(FieldInfo{"model.vocab_size", at_least_1, "tokens", "Vocabulary; must equal the tokenizer's"}, m.vocab_size);
  visit(FieldInfo{"model.hidden_size", at_least_1, "", "Width d of the residual stream"}, m.hidden_size);
  visit(FieldInfo{"model.num_hidden_layers", Range{1, 4096}, "", "Transformer blocks"}, m.num_hidden_layers);
  visit(FieldInfo{"model.num_attention_heads", at_least_1, "", "Query heads"}, m.num_attention_heads);
  visit(FieldInfo{"model.num_key_value_heads", at_least_1, "", "Key/value heads (GQA); null = num_attention_heads"}, m.num_key_value_heads);
  visit(FieldInfo{"model.head_dim", at_least_1, "", "Width of a head, even; null = hidden_size / num_attention_heads"}, m.head_dim);
  visit(FieldInfo{"model.intermediate_size", at_least_1, "", "Width of a dense FFN, and of an expert unless moe.moe_intermediate_size is set"}, m.intermediate_size);
  visit(FieldInfo{"model.hidden_act", any, "", "Gate activation of SwiGLU"}, m.hidden_act);
  visit(FieldInfo{"model.max_position_embeddings", at_least_1, "tokens", "Longest input; null = data.block_size"}, m.max_position_embeddings);
  visit(FieldInfo{"model.rope_theta", positive, "", "RoPE base"}, m.rope_theta);
  visit(FieldInfo{"model.rms_norm_eps", positive, "", "Epsilon of RMSNorm"}, m.rms_norm_eps);
  visit(FieldInfo{"model.attention_bias", only_0, "", "Moedl has no attention biases"}, m.attention_bias);
  visit(FieldInfo{"model.mlp_bias", only_0, "", "Moedl has no FFN biases"}, m.mlp_bias);
  visit(FieldInfo{"model.attention_dropout", only_0, "", "Moedl has no dropout"}, m.attention_dropout);
  visit(FieldInfo{"model.qk_norm", any, "", "RMSNorm of queries and keys before RoPE: per head (Qwen3), or over all heads at once (OLMoE)"}, m.qk_norm);
  visit(FieldInfo{"model.tie_word_embeddings", any, "", "Output head shares the embedding matrix"}, m.tie_word_embeddings);
  visit(FieldInfo{"model.init_scheme", any, "", "normal: N(0, initializer_range); resid_scaled: outputs of attention and FFN by 1/sqrt(2 layers) less (GPT-2); switch: truncated N(0, init_scale / fan_in)"}, m.init_scheme);
  visit(FieldInfo{"model.initializer_range", positive, "", "Standard deviation of the initial weights"}, m.initializer_range);
  visit(FieldInfo{"model.init_scale", positive, "", "Scale of init_scheme switch; Switch Transformer advises 0.1 for stability"}, m.init_scale);
  visit(FieldInfo{"model.pad_token_id", at_least_0, "", "Padding token; null = none"}, m.pad_token_id);
  visit(FieldInfo{"model.bos_token_id", at_least_0, "", "Beginning-of-text token"}, m.bos_token_id);
  visit(FieldInfo{"model.eos_token_id", at_least_0, "", "End-of-text token"}, m.eos_token_id);

  auto& e = c.moe;
  visit(FieldInfo{"moe.num_experts", Range{0, 65536}, "", "Routed experts E of a MoE layer; 1 = dense model, and 0 is read as 1"}, e.num_experts);
  visit(FieldInfo{"moe.num_active_experts", at_least_1, "", "Experts K each token is sent to, at most num_experts"}, e.num_active_experts);
  visit(FieldInfo{"moe.num_shared_experts", at_least_0, "", "Experts S that see every token, ungated"}, e.num_shared_experts);
  visit(FieldInfo{"moe.moe_intermediate_size", at_least_1, "", "Expert width f; null = model.intermediate_size"}, e.moe_intermediate_size);
  visit(FieldInfo{"moe.shared_intermediate_size", at_least_1, "", "Width of one shared expert; null = the routed width"}, e.shared_intermediate_size);
  visit(FieldInfo{"moe.moe_layers", at_least_0, "", "0-based list of MoE layers; null = by skip, stride and offset"}, e.moe_layers);
  visit(FieldInfo{"moe.skip_first_n_moe", at_least_0, "", "First layers that stay dense"}, e.skip_first_n_moe);
  visit(FieldInfo{"moe.moe_stride", at_least_1, "", "Every stride-th layer is MoE"}, e.moe_stride);
  visit(FieldInfo{"moe.moe_offset", at_least_0, "", "Layer i is MoE when (i - offset) mod stride = 0"}, e.moe_offset);
  visit(FieldInfo{"moe.routing", any, "", "How tokens and experts are matched"}, e.routing);
  visit(FieldInfo{"moe.score_fn", any, "", "Router scores; auto = sigmoid when lb_gamma > 0 biases the scores, else softmax"}, e.score_fn);
  visit(FieldInfo{"moe.norm_topk_prob", any, "", "Combine weights of the chosen experts sum to 1; auto = true for K > 1"}, e.norm_topk_prob);
  visit(FieldInfo{"moe.top1_gate", any, "", "K = 1 weight: prob = score, one = 1, ste = 1 with the score's gradient"}, e.top1_gate);
  visit(FieldInfo{"moe.routed_scaling_factor", positive, "", "Multiplies the combine weights after normalisation"}, e.routed_scaling_factor);
  visit(FieldInfo{"moe.n_group", at_least_1, "", "Expert groups G of equal size (devices, nodes); 1 = none"}, e.n_group);
  visit(FieldInfo{"moe.topk_group", at_least_1, "", "Groups M a token may use, the best by group_score"}, e.topk_group);
  visit(FieldInfo{"moe.group_score", any, "", "Score of a group: its best expert (DeepSeek-V2), or the sum of its two best (DeepSeek-V3)"}, e.group_score);
  visit(FieldInfo{"moe.router_noise", any, "", "Training noise: annealed or learned on the logits, jitter on the router's input"}, e.router_noise);
  visit(FieldInfo{"moe.noise_std", non_negative, "", "Initial standard deviation of annealed noise"}, e.noise_std);
  visit(FieldInfo{"moe.noise_anneal_frac", fraction, "", "Share of the run after which annealed noise has faded to 0; 0 = no noise"}, e.noise_anneal_frac);
  visit(FieldInfo{"moe.jitter_eps", Range{0, 0.999999}, "", "Jitter multiplies the router's input by U(1 - eps, 1 + eps)"}, e.jitter_eps);
  visit(FieldInfo{"moe.router_init", any, "", "Initial router matrix: as the other matrices, or orthogonal rows (SimBal)"}, e.router_init);
  visit(FieldInfo{"moe.router_dtype", any, "", "Router matmul in fp32, or in the run's precision"}, e.router_dtype);
  visit(FieldInfo{"moe.lb_coeff", non_negative, "", "Switch load-balancing penalty; excludes lb_gamma"}, e.lb_coeff);
  visit(FieldInfo{"moe.lb_pool", any, "", "Penalty per layer, or over the pooled tokens of all layers (Transformers, moe-lab)"}, e.lb_pool);
  visit(FieldInfo{"moe.lb_gamma", non_negative, "", "Step of the loss-free expert-bias controller; excludes lb_coeff"}, e.lb_gamma);
  visit(FieldInfo{"moe.lb_bias_rule", any, "", "proportional (moe-lab) or sign (DeepSeek-V3) bias step"}, e.lb_bias_rule);
  visit(FieldInfo{"moe.lb_bias_interval", at_least_1, "steps", "Optimiser steps between bias updates"}, e.lb_bias_interval);
  visit(FieldInfo{"moe.lb_bias_target", any, "", "The bias is added to the scores, or to the logits before scoring, for the choice only"}, e.lb_bias_target);
  visit(FieldInfo{"moe.z_loss_coeff", non_negative, "", "Penalty on the squared logsumexp of router logits"}, e.z_loss_coeff);
  visit(FieldInfo{"moe.seq_aux_coeff", non_negative, "", "Balance loss within each sequence (DeepSeek-V3, 1e-4 there); goes with lb_gamma"}, e.seq_aux_coeff);
  visit(FieldInfo{"moe.device_coeff", non_negative, "", "Compute balance over expert groups (DeepSeek-V2, 0.05 there); needs n_group > 1"}, e.device_coeff);
  visit(FieldInfo{"moe.comm_coeff", non_negative, "", "Balance of tokens sent to expert groups (DeepSeek-V2, 0.02 there); needs n_group > 1"}, e.comm_coeff);
  visit(FieldInfo{"moe.orth_coeff", non_negative, "", "Orthogonality loss on the router matrix (SimBal), in the place of a balance loss; about 0.1 / num_experts^2"}, e.orth_coeff);
  visit(FieldInfo{"moe.cv_importance_coeff", non_negative, "", "CV^2 of the experts' summed combine weights (Shazeer, 0.1 there)"}, e.cv_importance_coeff);
  visit(FieldInfo{"moe.cv_load_coeff", non_negative, "", "CV^2 of the experts' smoothed load (Shazeer); needs router_noise learned"}, e.cv_load_coeff);
  visit(FieldInfo{"moe.ec_capacity", positive, "", "Expert choice: tokens an expert takes, as a multiple of T*K/E"}, e.ec_capacity);
  visit(FieldInfo{"moe.ec_scope", any, "", "Expert choice: experts choose among the tokens of the micro-batch, or of each sequence"}, e.ec_scope);
  visit(FieldInfo{"moe.hash_mode", any, "", "Hash table: random, or balanced by the tokens' frequencies in the training data"}, e.hash_mode);
  visit(FieldInfo{"moe.random_mode", any, "", "fresh draws for every token and step, or frozen: a random router that never learns"}, e.random_mode);
  visit(FieldInfo{"moe.rl_coeff", non_negative, "", "REINFORCE: weight of the policy-gradient loss"}, e.rl_coeff);
  visit(FieldInfo{"moe.ent_coeff", non_negative, "", "REINFORCE: weight of the policy's entropy"}, e.ent_coeff);
  visit(FieldInfo{"moe.mtp_depth", Range{0, 4}, "", "Multi-token prediction: extra modules, each predicting one token further (DeepSeek-V3); 0 = none"}, e.mtp_depth);
  visit(FieldInfo{"moe.mtp_coeff", non_negative, "", "Weight of the multi-token prediction loss"}, e.mtp_coeff);
  visit(FieldInfo{"moe.capacity_factor", non_negative, "", "Tokens an expert may take in training, as a multiple of T*K/E; 0 = dropless"}, e.capacity_factor);
  visit(FieldInfo{"moe.eval_capacity_factor", non_negative, "", "The same in evaluation; 0 = dropless"}, e.eval_capacity_factor);
  visit(FieldInfo{"moe.drop_policy", any, "", "Which assignments an over-full expert keeps: best score, or first position"}, e.drop_policy);
  visit(FieldInfo{"moe.min_capacity", at_least_1, "tokens", "Least capacity of an expert"}, e.min_capacity);

  auto& d = c.data;
  visit(FieldInfo{"data.path", any, "", "Corpus: files, directories or globs of .txt and .jsonl", source}, d.path);
  visit(FieldInfo{"data.val_path", any, "", "Validation corpus; empty = split data.path by document", source}, d.val_path);
  visit(FieldInfo{"data.domains", Range{2, 16}, "", "Corpora by domain, {code: PATHS, prose: PATHS}, in place of data.path: trained on in equal parts, measured apart", source}, d.domains);
  visit(FieldInfo{"data.tokens", any, "", "Token file (.npy or .bin) instead of text", source}, d.tokens);
  visit(FieldInfo{"data.val_tokens", any, "", "Validation token file; empty = the last blocks of data.tokens", source}, d.val_tokens);
  visit(FieldInfo{"data.val_fraction", Range{0, 0.5, true}, "", "Share of documents (or blocks) held out for validation"}, d.val_fraction);
  visit(FieldInfo{"data.tokenizer", any, "", "SentencePiece model file; empty = train one of model.vocab_size on the corpus", source}, d.tokenizer);
  visit(FieldInfo{"data.text_field", any, "", "Field of a .jsonl line that holds the text"}, d.text_field);
  visit(FieldInfo{"data.block_size", Range{2, 1 << 20}, "tokens", "Length L of a training sequence"}, d.block_size);
  visit(FieldInfo{"data.bos", any, "", "Put the beginning-of-text token before each document"}, d.bos);
  visit(FieldInfo{"data.eos", any, "", "Put the end-of-text token after each document"}, d.eos);
  visit(FieldInfo{"data.shuffle", any, "", "Shuffle blocks each epoch; false = file order"}, d.shuffle);
  visit(FieldInfo{"data.seed", at_least_0, "", "Seed of the split and of the block order"}, d.seed);

  auto& t = c.train;
  visit(FieldInfo{"train.lr", positive, "", "Peak learning rate"}, t.lr);
  visit(FieldInfo{"train.schedule", any, "", "Learning rate after warm-up"}, t.schedule);
  visit(FieldInfo{"train.warmup_ratio", fraction, "", "Warm-up as a share of all steps, rounded up"}, t.warmup_ratio);
  visit(FieldInfo{"train.warmup_steps", at_least_0, "steps", "Warm-up in steps; null = by warmup_ratio"}, t.warmup_steps);
  visit(FieldInfo{"train.epochs", Range{0, 1e6, true}, "", "Passes over the training blocks, unless max_steps is set"}, t.epochs);
  visit(FieldInfo{"train.max_steps", at_least_1, "steps", "Optimiser steps; null = by epochs"}, t.max_steps);
  visit(FieldInfo{"train.batch_size", Range{1, 1 << 20}, "sequences", "Sequences per optimiser step"}, t.batch_size);
  visit(FieldInfo{"train.grad_accum", at_least_1, "", "Micro-batches per optimiser step; must divide batch_size"}, t.grad_accum);
  visit(FieldInfo{"train.beta1", Range{0, 0.999999}, "", "AdamW first-moment decay"}, t.beta1);
  visit(FieldInfo{"train.beta2", Range{0, 0.9999999}, "", "AdamW second-moment decay"}, t.beta2);
  visit(FieldInfo{"train.eps", positive, "", "AdamW epsilon"}, t.eps);
  visit(FieldInfo{"train.weight_decay", non_negative, "", "Decoupled decay of tensors with two or more dimensions, norms excepted"}, t.weight_decay);
  visit(FieldInfo{"train.grad_clip", non_negative, "", "Largest global gradient norm; 0 = no clipping"}, t.grad_clip);
  visit(FieldInfo{"train.precision", any, "", "fp32, or bf16 matmuls over fp32 master weights"}, t.precision);
  visit(FieldInfo{"train.init_from", any, "", "Start from these weights: a directory (Moedl checkpoint, run, or Transformers), or run:NAME, a run of this file", source}, t.init_from);
  visit(FieldInfo{"train.upcycle", any, "", "init_from is a dense checkpoint: the experts of every MoE layer start as noisy copies of that layer's FFN"}, t.upcycle);
  visit(FieldInfo{"train.upcycle_noise", non_negative, "", "Noise of upcycled experts, as a multiple of each tensor's standard deviation"}, t.upcycle_noise);
  visit(FieldInfo{"train.freeze_experts", any, "", "Keep the weights of routed and shared experts"}, t.freeze_experts);
  visit(FieldInfo{"train.freeze_router", any, "", "Keep the weights and biases of the routers"}, t.freeze_router);
  visit(FieldInfo{"train.freeze_trunk", any, "", "Keep every weight but those of the experts and routers of MoE layers"}, t.freeze_trunk);
  visit(FieldInfo{"train.log_interval", at_least_1, "steps", "Steps between metric records"}, t.log_interval);
  visit(FieldInfo{"train.expert_load_interval", at_least_1, "steps", "Steps between expert-load records"}, t.expert_load_interval);
  visit(FieldInfo{"train.eval_interval", at_least_1, "steps", "Steps between evaluations; the last step always evaluates"}, t.eval_interval);
  visit(FieldInfo{"train.save_interval", at_least_1, "steps", "Steps between checkpoints; the last step always saves"}, t.save_interval);

  auto& stop = c.early_stop;
  visit(FieldInfo{"early_stop.collapse", any, "", "End a run whose routing has collapsed onto one expert"}, stop.collapse);
  visit(FieldInfo{"early_stop.collapse_load", Range{0, 1, true}, "", "Share of a layer's assignments on one expert that counts as collapsed"}, stop.collapse_load);
  visit(FieldInfo{"early_stop.collapse_interval", at_least_1, "steps", "Steps between looks at the load"}, stop.collapse_interval);
  visit(FieldInfo{"early_stop.collapse_patience", at_least_1, "", "Collapsed looks in a row that end the run"}, stop.collapse_patience);
  visit(FieldInfo{"early_stop.alerts", any, "", "End a run at its first health alert"}, stop.alerts);

  visit(FieldInfo{"checkpoint.keep_last", at_least_1, "", "Newest checkpoints kept", operation}, c.checkpoint.keep_last);
  visit(FieldInfo{"checkpoint.keep_best", fraction, "", "1 keeps the checkpoint with the lowest eval/loss too", operation}, c.checkpoint.keep_best);

  auto& r = c.resources;
  visit(FieldInfo{"resources.gpus", fraction, "", "GPUs of a run: 1, or 0 for a CPU slot; null = a GPU if there is one", operation}, r.gpus);
  visit(FieldInfo{"resources.cpus", Range{1, 4096}, "threads", "CPU threads of the worker; null = all of its slot", operation}, r.cpus);
  visit(FieldInfo{"resources.memory_gb", positive, "GB", "Device memory (with Slurm: host memory) the run needs at its peak; null = as measured", operation}, r.memory_gb);
  visit(FieldInfo{"resources.share_gpu", any, "", "May share a GPU with other runs that say so, as far as their measured peak memory fits", operation}, r.share_gpu);
  visit(FieldInfo{"resources.timeout", non_negative, "s", "Running time after which a run is stopped; 0 = none", operation}, r.timeout);
  visit(FieldInfo{"resources.hang_timeout", non_negative, "s", "A live worker without progress for this long is killed and started again; 0 = never", operation}, r.hang_timeout);
  visit(FieldInfo{"resources.max_restarts", at_least_0, "", "Restarts after a crash before a run has failed", operation}, r.max_restarts);
  visit(FieldInfo{"resources.halve_on_oom", any, "", "Out of memory: go on with half the micro-batch and twice the accumulation", operation}, r.halve_on_oom);
  visit(FieldInfo{"resources.launcher", any, "", "Where the worker runs: as a process here, or as a Slurm job; auto = as the daemon was told", operation}, r.launcher);
  visit(FieldInfo{"resources.partition", any, "", "Slurm partition", operation}, r.partition);
  visit(FieldInfo{"resources.account", any, "", "Slurm account", operation}, r.account);
  visit(FieldInfo{"resources.qos", any, "", "Slurm quality of service", operation}, r.qos);
}

using Name = std::string_view;
template <class E, std::size_t N>
using NameTable = std::array<std::pair<E, Name>, N>;

template <> struct EnumNames<ScoreFn> { static constexpr NameTable<ScoreFn, 3> values{{{ScoreFn::automatic, "auto"}, {ScoreFn::softmax, "softmax"}, {ScoreFn::sigmoid, "sigmoid"}}}; };
template <> struct EnumNames<NormTopk> { static constexpr NameTable<NormTopk, 3> values{{{NormTopk::automatic, "auto"}, {NormTopk::yes, "true"}, {NormTopk::no, "false"}}}; };
template <> struct EnumNames<Top1Gate> { static constexpr NameTable<Top1Gate, 3> values{{{Top1Gate::prob, "prob"}, {Top1Gate::one, "one"}, {Top1Gate::ste, "ste"}}}; };
template <> struct EnumNames<RouterDtype> { static constexpr NameTable<RouterDtype, 2> values{{{RouterDtype::fp32, "fp32"}, {RouterDtype::autocast, "autocast"}}}; };
template <> struct EnumNames<LbPool> { static constexpr NameTable<LbPool, 2> values{{{LbPool::per_layer, "per_layer"}, {LbPool::all_layers, "all_layers"}}}; };
template <> struct EnumNames<BiasRule> { static constexpr NameTable<BiasRule, 2> values{{{BiasRule::proportional, "proportional"}, {BiasRule::sign, "sign"}}}; };
template <> struct EnumNames<DropPolicy> { static constexpr NameTable<DropPolicy, 2> values{{{DropPolicy::score, "score"}, {DropPolicy::position, "position"}}}; };
template <> struct EnumNames<Schedule> { static constexpr NameTable<Schedule, 3> values{{{Schedule::cosine, "cosine"}, {Schedule::linear, "linear"}, {Schedule::constant, "constant"}}}; };
template <> struct EnumNames<Precision> { static constexpr NameTable<Precision, 2> values{{{Precision::fp32, "fp32"}, {Precision::bf16, "bf16"}}}; };
template <> struct EnumNames<HiddenAct> { static constexpr NameTable<HiddenAct, 1> values{{{HiddenAct::silu, "silu"}}}; };
template <> struct EnumNames<QkNorm> { static constexpr NameTable<QkNorm, 3> values{{{QkNorm::none, "none"}, {QkNorm::head, "head"}, {QkNorm::full, "full"}}}; };
template <> struct EnumNames<InitScheme> { static constexpr NameTable<InitScheme, 3> values{{{InitScheme::normal, "normal"}, {InitScheme::resid_scaled, "resid_scaled"}, {InitScheme::switch_scaled, "switch"}}}; };
template <> struct EnumNames<RouterInit> { static constexpr NameTable<RouterInit, 2> values{{{RouterInit::normal, "normal"}, {RouterInit::orthogonal, "orthogonal"}}}; };
template <> struct EnumNames<RouterNoise> { static constexpr NameTable<RouterNoise, 4> values{{{RouterNoise::none, "none"}, {RouterNoise::annealed, "annealed"}, {RouterNoise::learned, "learned"}, {RouterNoise::jitter, "jitter"}}}; };
template <> struct EnumNames<GroupScore> { static constexpr NameTable<GroupScore, 2> values{{{GroupScore::max, "max"}, {GroupScore::top2sum, "top2sum"}}}; };
template <> struct EnumNames<BiasTarget> { static constexpr NameTable<BiasTarget, 2> values{{{BiasTarget::score, "score"}, {BiasTarget::logit, "logit"}}}; };
template <> struct EnumNames<ChoiceScope> { static constexpr NameTable<ChoiceScope, 2> values{{{ChoiceScope::batch, "batch"}, {ChoiceScope::sequence, "sequence"}}}; };
template <> struct EnumNames<HashMode> { static constexpr NameTable<HashMode, 2> values{{{HashMode::random, "random"}, {HashMode::balanced, "balanced"}}}; };
template <> struct EnumNames<LauncherKind> { static constexpr NameTable<LauncherKind, 3> values{{{LauncherKind::automatic, "auto"}, {LauncherKind::process, "process"}, {LauncherKind::slurm, "slurm"}}}; };
template <> struct EnumNames<RandomMode> { static constexpr NameTable<RandomMode, 2> values{{{RandomMode::fresh, "fresh"}, {RandomMode::frozen, "frozen"}}}; };

inline constexpr auto kRoutingNames = std::to_array<std::pair<Routing, Name>>({
#define MOELAB_ROUTING(name, doc) {Routing::name, #name},
#include "core/routing_strategies.def"
#undef MOELAB_ROUTING
});
template <> struct EnumNames<Routing> { static constexpr auto values = kRoutingNames; };

}  // namespace moelab::core
