#include "tests/worker/model/reference_model.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace moelab::worker::test {

ReferenceModel::ReferenceModel(const core::RunConfig& config, std::map<std::string, torch::Tensor> weights)
    : config_(config), shape_(core::model_shape(config)), weights_(std::move(weights)) {}

torch::Tensor ReferenceModel::norm(const torch::Tensor& x_D, const std::string& name) const {
  return x_D / torch::sqrt((x_D * x_D).mean() + config_.model.rms_norm_eps) * weight(name);
}

torch::Tensor ReferenceModel::normed_rows(const torch::Tensor& x_TD, const std::string& name) const {
  std::vector<torch::Tensor> rows;
  for (std::int64_t t = 0; t < x_TD.size(0); ++t) rows.push_back(norm(x_TD[t], name));
  return torch::stack(rows);
}

torch::Tensor ReferenceModel::dense_block(const torch::Tensor& x_TD, std::int64_t batch, const std::string& prefix) const {
  const auto length = x_TD.size(0) / batch;
  const auto before = normed_rows(x_TD, prefix + "norm_attn.weight");
  std::vector<torch::Tensor> attended, rows;
  for (std::int64_t b = 0; b < batch; ++b) attended.push_back(attention(before.slice(0, b * length, (b + 1) * length), prefix + "attn."));
  const auto x = x_TD + torch::cat(attended);
  const auto before_mlp = normed_rows(x, prefix + "norm_mlp.weight");
  for (std::int64_t t = 0; t < x.size(0); ++t) rows.push_back(feed_forward(before_mlp[t], prefix + "mlp."));
  return x + torch::stack(rows);
}

// DeepSeek-V3's modules: number k joins the stream at position i with the token i+k and predicts token i+k+1.
torch::Tensor ReferenceModel::prediction(torch::Tensor x_TD, const torch::Tensor& targets_BL) const {
  const auto batch = targets_BL.size(0), length = targets_BL.size(1);
  const auto& head = weight(config_.model.tie_word_embeddings ? "embed_tokens.weight" : "lm_head.weight");
  const auto token_after = [&](std::int64_t b, std::int64_t i, std::int64_t ahead) {  // token i + ahead, -1 = unknown
    const auto at = i + ahead - 1;
    return at < length ? std::max<std::int64_t>(-1, targets_BL[b][at].item<std::int64_t>()) : -1;
  };
  auto total = torch::zeros({}, x_TD.options());
  for (std::int64_t k = 1; k <= config_.moe.mtp_depth; ++k) {
    const auto prefix = "mtp." + std::to_string(k - 1) + ".";
    std::vector<torch::Tensor> joined;
    for (std::int64_t t = 0; t < batch * length; ++t) {
      const auto seen = weight("embed_tokens.weight")[std::max<std::int64_t>(0, token_after(t / length, t % length, k))];
      const auto pair = torch::cat({norm(x_TD[t], prefix + "norm_hidden.weight"), norm(seen, prefix + "norm_embed.weight")});
      joined.push_back(torch::mv(weight(prefix + "project.weight"), pair));
    }
    x_TD = dense_block(torch::stack(joined), batch, prefix + "block.");
    const auto logits = torch::matmul(normed_rows(x_TD, prefix + "norm.weight"), head.t());
    auto sum = torch::zeros({}, x_TD.options());
    std::int64_t valid = 0;
    for (std::int64_t t = 0; t < batch * length; ++t) {
      const auto target = token_after(t / length, t % length, k + 1);
      if (target < 0 || token_after(t / length, t % length, k) < 0) continue;
      sum = sum - logits[t].log_softmax(0)[target];
      ++valid;
    }
    total = total + sum / static_cast<double>(valid);
  }
  return total / static_cast<double>(config_.moe.mtp_depth);
}

torch::Tensor ReferenceModel::attention(const torch::Tensor& x_LD, const std::string& prefix) const {
  const auto length = x_LD.size(0), width = shape_.head_dim, half = width / 2;
  const auto rotated = [&](const torch::Tensor& x_C, std::int64_t position) {
    std::vector<torch::Tensor> out(static_cast<std::size_t>(width));
    for (std::int64_t j = 0; j < half; ++j) {
      const double angle =
          static_cast<double>(position) * std::pow(config_.model.rope_theta, -2.0 * static_cast<double>(j) / static_cast<double>(width));
      out[static_cast<std::size_t>(j)] = x_C[j] * std::cos(angle) - x_C[j + half] * std::sin(angle);
      out[static_cast<std::size_t>(j + half)] = x_C[j + half] * std::cos(angle) + x_C[j] * std::sin(angle);
    }
    return torch::stack(out);
  };
  // Rows of one head, normalised when the model does: within the head, or over all heads at once.
  const auto head_rows = [&](const std::string& name, std::int64_t head) {
    const auto all = torch::matmul(x_LD, weight(prefix + name + ".weight").t());
    const auto own = all.slice(1, head * width, (head + 1) * width);
    if (name == "v" || config_.model.qk_norm == core::QkNorm::none) return own;
    const auto norm_name = prefix + name + "_norm.weight";
    return config_.model.qk_norm == core::QkNorm::head ? normed_rows(own, norm_name)
                                                       : normed_rows(all, norm_name).slice(1, head * width, (head + 1) * width);
  };
  std::vector<torch::Tensor> heads;
  for (std::int64_t h = 0; h < shape_.heads; ++h) {
    const auto group = h / (shape_.heads / shape_.kv_heads);
    const auto q = head_rows("q", h), k = head_rows("k", group), v = head_rows("v", group);
    std::vector<torch::Tensor> keys, rows;
    for (std::int64_t i = 0; i < length; ++i) {
      keys.push_back(rotated(k[i], i));
      const auto scores = torch::matmul(torch::stack(keys), rotated(q[i], i)) / std::sqrt(static_cast<double>(width));
      rows.push_back(torch::matmul(scores.softmax(0), v.slice(0, 0, i + 1)));
    }
    heads.push_back(torch::stack(rows));
  }
  return torch::matmul(torch::cat(heads, 1), weight(prefix + "o.weight").t());
}

torch::Tensor ReferenceModel::feed_forward(const torch::Tensor& x_D, const std::string& prefix) const {
  const auto gate = torch::mv(weight(prefix + "gate.weight"), x_D);
  return torch::mv(weight(prefix + "down.weight"), gate / (1 + torch::exp(-gate)) * torch::mv(weight(prefix + "up.weight"), x_D));
}

torch::Tensor ReferenceModel::moe(const torch::Tensor& x_TD, const std::string& prefix, bool training, RouterStatistics& statistics,
                                  std::int64_t& dropped) const {
  const auto tokens = x_TD.size(0), experts = shape_.experts, active = shape_.active;
  const auto logits = torch::matmul(x_TD, weight(prefix + "router.weight").t());
  const auto scores = shape_.sigmoid_scores ? 1 / (1 + torch::exp(-logits)) : logits.softmax(1);
  auto selection = scores.detach().clone();
  if (shape_.bias_control) selection = selection + weight(prefix + "router.bias");

  // choice[t]: the K best experts of token t, best first.
  std::vector<std::vector<std::int64_t>> choice;
  std::vector<double> count(static_cast<std::size_t>(experts), 0);
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(experts));
    for (std::int64_t e = 0; e < experts; ++e) order[static_cast<std::size_t>(e)] = e;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return selection[t][a].item<double>() > selection[t][b].item<double>(); });
    order.resize(static_cast<std::size_t>(active));
    for (const auto e : order) count[static_cast<std::size_t>(e)] += 1;
    choice.push_back(order);
  }

  const double factor = training ? config_.moe.capacity_factor : config_.moe.eval_capacity_factor;
  const auto capacity =
      factor > 0
          ? std::max(config_.moe.min_capacity,
                     static_cast<std::int64_t>(std::floor(factor * static_cast<double>(tokens * active) / static_cast<double>(experts))))
          : tokens;
  const auto kept = [&](std::int64_t t, std::int64_t e) {
    std::int64_t better = 0;
    for (std::int64_t other = 0; other < tokens; ++other) {
      const auto& chosen = choice[static_cast<std::size_t>(other)];
      if (std::find(chosen.begin(), chosen.end(), e) == chosen.end()) continue;
      const double theirs = selection[other][e].item<double>(), ours = selection[t][e].item<double>();
      if (theirs > ours || (theirs == ours && other < t)) ++better;
    }
    return better < capacity;
  };

  const auto width = shape_.expert_width;
  std::vector<torch::Tensor> rows;
  for (std::int64_t t = 0; t < tokens; ++t) {
    auto sum = torch::zeros({shape_.hidden}, x_TD.options());
    auto total = torch::zeros({}, x_TD.options());
    for (const auto e : choice[static_cast<std::size_t>(t)]) total = total + scores[t][e];
    for (const auto e : choice[static_cast<std::size_t>(t)]) {
      if (!kept(t, e)) {
        ++dropped;
        continue;
      }
      const auto combine = shape_.normalize_topk ? scores[t][e] / total : scores[t][e];
      const auto gate_up = torch::matmul(x_TD[t], weight(prefix + "experts.gate_up")[e]);
      const auto gate = gate_up.slice(0, 0, width), up = gate_up.slice(0, width);
      sum = sum + combine * config_.moe.routed_scaling_factor *
                      torch::matmul(gate / (1 + torch::exp(-gate)) * up, weight(prefix + "experts.down")[e]);
    }
    if (shape_.shared > 0) sum = sum + feed_forward(x_TD[t], prefix + "shared.");
    rows.push_back(sum);
  }

  auto balance = torch::zeros({}, x_TD.options());
  for (std::int64_t e = 0; e < experts; ++e) {
    const auto probability = (shape_.sigmoid_scores ? scores / scores.sum(1, true) : scores).select(1, e).mean();
    balance =
        balance + probability * (count[static_cast<std::size_t>(e)] / static_cast<double>(tokens * active)) * static_cast<double>(experts);
  }
  statistics = {balance, logits.exp().sum(1).log().square().mean()};
  return torch::stack(rows);
}

ReferenceLoss ReferenceModel::loss(const torch::Tensor& ids_BL, const torch::Tensor& targets_BL, bool training) const {
  const auto batch = ids_BL.size(0), length = ids_BL.size(1);
  auto x = weight("embed_tokens.weight").index_select(0, ids_BL.flatten());
  const auto normed = [&](const std::string& name) { return normed_rows(x, name); };
  ReferenceLoss result;
  std::vector<torch::Tensor> balance, z;
  for (std::int64_t i = 0; i < shape_.layers; ++i) {
    const auto prefix = "layers." + std::to_string(i) + ".";
    if (!shape_.moe_layer[static_cast<std::size_t>(i)]) {
      x = dense_block(x, batch, prefix);
      continue;
    }
    const auto before_attention = normed(prefix + "norm_attn.weight");
    std::vector<torch::Tensor> attended;
    for (std::int64_t b = 0; b < batch; ++b)
      attended.push_back(attention(before_attention.slice(0, b * length, (b + 1) * length), prefix + "attn."));
    x = x + torch::cat(attended);
    const auto before_mlp = normed(prefix + "norm_mlp.weight");
    RouterStatistics statistics;
    x = x + moe(before_mlp, prefix + "moe.", training, statistics, result.dropped);
    balance.push_back(statistics.balance);
    z.push_back(statistics.z);
  }
  const auto& head = weight(config_.model.tie_word_embeddings ? "embed_tokens.weight" : "lm_head.weight");
  const auto logits = torch::matmul(normed("norm.weight"), head.t());
  result.logits_BLV = logits.view({batch, length, -1});
  const auto target = targets_BL.flatten();
  auto sum = torch::zeros({}, logits.options());
  std::int64_t valid = 0;
  for (std::int64_t t = 0; t < target.size(0); ++t) {
    if (target[t].item<std::int64_t>() < 0) continue;
    sum = sum - logits[t].log_softmax(0)[target[t].item<std::int64_t>()];
    ++valid;
  }
  result.ce = sum / static_cast<double>(valid);
  result.total = result.ce;
  if (config_.moe.mtp_depth > 0) {
    result.mtp = prediction(x, targets_BL);
    result.total = result.total + config_.moe.mtp_coeff * result.mtp;
  }
  if (!balance.empty()) {
    result.lb = torch::stack(balance).mean();
    result.z = torch::stack(z).mean();
    result.total = result.total + config_.moe.lb_coeff * result.lb + config_.moe.z_loss_coeff * result.z;
  }
  return result;
}

}  // namespace moelab::worker::test
