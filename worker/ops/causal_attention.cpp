// Shapes: B sequences, L positions, T = B*L, H query heads, G key/value heads, R = H/G query heads a group, C head width;
// N = G * (sequences of a chunk), M rows of a query block, U keys a query block can see.
#include "worker/ops/causal_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/ops/cpu_vector.h"

namespace moelab::worker {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr std::int64_t kBlockRows = 64;
// Scores in flight. Two such buffers (scores and their gradient) should stay in the outer cache beside the keys and values.
constexpr std::int64_t kScoreChunk = 1 << 20;

// Softmax of M rows that start at position `first`, in place; row r sees keys 0..first+r, the rest become 0.
MOELAB_CPU_CLONES void softmax_rows(float* scores, float* logsumexp, float scale, std::int64_t first, std::int64_t rows,
                                    std::int64_t keys) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* s = scores + r * keys;
    const auto visible = first + r + 1;
    float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
    for (std::int64_t j = 0; j < visible; ++j) largest = s[j] > largest ? s[j] : largest;
    float sum = 0;
    const float shift = largest * scale;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < visible; ++j) {
      s[j] = cpu::exp(s[j] * scale - shift);
      sum += s[j];
    }
    const float inverse = 1.0F / sum;
    for (std::int64_t j = 0; j < visible; ++j) s[j] *= inverse;
    for (std::int64_t j = visible; j < keys; ++j) s[j] = 0;
    logsumexp[r] = shift + std::log(sum);
  }
}

// scores -> probabilities, from the saved log-sum-exp.
MOELAB_CPU_CLONES void probability_rows(float* scores, const float* logsumexp, float scale, std::int64_t first, std::int64_t rows,
                                        std::int64_t keys) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* s = scores + r * keys;
    const auto visible = first + r + 1;
    for (std::int64_t j = 0; j < visible; ++j) s[j] = cpu::exp(s[j] * scale - logsumexp[r]);
    for (std::int64_t j = visible; j < keys; ++j) s[j] = 0;
  }
}

// grad_probability -> grad_score * scale, in place. delta_r = sum_j p_rj * grad_p_rj.
MOELAB_CPU_CLONES void score_gradient_rows(float* gradient, const float* probability, float scale, std::int64_t rows, std::int64_t keys) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* g = gradient + r * keys;
    const float* p = probability + r * keys;
    float delta = 0;
#pragma omp simd reduction(+ : delta)
    for (std::int64_t j = 0; j < keys; ++j) delta += p[j] * g[j];
    for (std::int64_t j = 0; j < keys; ++j) g[j] = p[j] * (g[j] - delta) * scale;
  }
}

// One block of query rows of one query head of every group, over a chunk of whole sequences.
struct Block {
  std::int64_t first_sequence, sequences;  // chunk
  std::int64_t head_in_group;
  std::int64_t first_row, rows, keys;  // keys = first_row + rows
};

struct Problem {
  std::int64_t batch, groups, heads_per_group, length, width;
  float scale;

  Problem(const torch::Tensor& q_BHLC, const torch::Tensor& k_BGLC)
      : batch(q_BHLC.size(0)),
        groups(k_BGLC.size(1)),
        heads_per_group(q_BHLC.size(1) / k_BGLC.size(1)),
        length(q_BHLC.size(2)),
        width(q_BHLC.size(3)),
        scale(1.0F / std::sqrt(static_cast<float>(width))) {}

  std::int64_t chunk_sequences() const {
    return std::clamp<std::int64_t>(kScoreChunk / (groups * std::min(kBlockRows, length) * length), 1, batch);
  }

  // Visits chunks, heads of a group, and blocks from the last rows to the first: the first block of a chunk sees every key.
  template <class Visit>
  void for_each_block(const Visit& visit) const {
    const auto step = chunk_sequences();
    for (std::int64_t b = 0; b < batch; b += step) {
      for (std::int64_t r = 0; r < heads_per_group; ++r) {
        for (auto row = (length - 1) / kBlockRows * kBlockRows; row >= 0; row -= kBlockRows) {
          const auto rows = std::min(kBlockRows, length - row);
          visit(Block{b, std::min(step, batch - b), r, row, rows, row + rows});
        }
      }
    }
  }

  // [N, keys, C] of keys or values [B, G, L, C].
  torch::Tensor keys_of(const torch::Tensor& kv, const Block& block) const {
    return kv.narrow(0, block.first_sequence, block.sequences).view({-1, length, width}).narrow(1, 0, block.keys);
  }
  // [N, M, C] of queries [B, H, L, C].
  torch::Tensor queries_of(const torch::Tensor& q, const Block& block) const {
    return q.narrow(0, block.first_sequence, block.sequences)
        .view({-1, heads_per_group, length, width})
        .select(1, block.head_in_group)
        .narrow(1, block.first_row, block.rows);
  }
  // [sequences, G, M, C] of rows [T, H*C].
  torch::Tensor rows_of(const torch::Tensor& rows_TX, const Block& block) const {
    return rows_TX.view({batch, length, groups, heads_per_group, width})
        .narrow(0, block.first_sequence, block.sequences)
        .select(3, block.head_in_group)
        .narrow(1, block.first_row, block.rows)
        .transpose(1, 2);
  }
  // [B, G, R, L] log-sum-exp: the rows of one (sequence, group) of a block.
  float* logsumexp_of(float* data, const Block& block, std::int64_t n) const {
    return data + ((block.first_sequence * groups + n) * heads_per_group + block.head_in_group) * length + block.first_row;
  }
};

// A view of the first elements of a reused buffer.
torch::Tensor shaped(const torch::Tensor& buffer, std::int64_t n, std::int64_t rows, std::int64_t columns) {
  return buffer.narrow(0, 0, n * rows * columns).view({n, rows, columns});
}

torch::Tensor score_buffer(const Problem& p, const torch::TensorOptions& options) {
  return torch::empty({p.chunk_sequences() * p.groups * std::min(kBlockRows, p.length) * p.length}, options);
}

class CausalAttention : public torch::autograd::Function<CausalAttention> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& q, const Variable& k, const Variable& v) {
    const Problem p(q, k);
    auto out_TX = torch::empty({p.batch * p.length, p.groups * p.heads_per_group * p.width}, q.options());
    auto logsumexp = torch::empty({p.batch, p.groups, p.heads_per_group, p.length}, q.options());
    auto* logsumexp_data = logsumexp.mutable_data_ptr<float>();
    const auto buffer = score_buffer(p, q.options());
    p.for_each_block([&](const Block& block) {
      const auto n = block.sequences * p.groups;
      auto scores_NMU = shaped(buffer, n, block.rows, block.keys);
      at::bmm_out(scores_NMU, p.queries_of(q, block), p.keys_of(k, block).transpose(1, 2));
      auto* scores = scores_NMU.mutable_data_ptr<float>();
      cpu::parallel_rows(n, block.rows * block.keys, [&](std::int64_t first, std::int64_t last) {
        for (auto i = first; i < last; ++i) {
          softmax_rows(scores + i * block.rows * block.keys, p.logsumexp_of(logsumexp_data, block, i), p.scale, block.first_row, block.rows,
                       block.keys);
        }
      });
      const auto out_NMC = at::bmm(scores_NMU, p.keys_of(v, block));
      p.rows_of(out_TX, block).copy_(out_NMC.view({block.sequences, p.groups, block.rows, p.width}));
    });
    ctx->save_for_backward({q, k, v, logsumexp});
    return out_TX;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2];
    auto logsumexp = saved[3];
    const Problem p(q, k);
    const auto grad_TX = gradients[0].contiguous();
    auto grad_q = torch::empty_like(q), grad_k = torch::empty_like(k), grad_v = torch::empty_like(v);
    auto* logsumexp_data = logsumexp.mutable_data_ptr<float>();
    const auto buffer = score_buffer(p, q.options()), gradient_buffer = score_buffer(p, q.options());
    p.for_each_block([&](const Block& block) {
      const auto n = block.sequences * p.groups;
      const auto k_NUC = p.keys_of(k, block), q_NMC = p.queries_of(q, block);
      auto scores_NMU = shaped(buffer, n, block.rows, block.keys), gradient_NMU = shaped(gradient_buffer, n, block.rows, block.keys);
      const auto grad_out_NMC = p.rows_of(grad_TX, block).contiguous().view({n, block.rows, p.width});
      at::bmm_out(scores_NMU, q_NMC, k_NUC.transpose(1, 2));
      at::bmm_out(gradient_NMU, grad_out_NMC, p.keys_of(v, block).transpose(1, 2));
      auto *scores = scores_NMU.mutable_data_ptr<float>(), *gradient = gradient_NMU.mutable_data_ptr<float>();
      cpu::parallel_rows(n, block.rows * block.keys, [&](std::int64_t first, std::int64_t last) {
        for (auto i = first; i < last; ++i) {
          const auto at = i * block.rows * block.keys;
          probability_rows(scores + at, p.logsumexp_of(logsumexp_data, block, i), p.scale, block.first_row, block.rows, block.keys);
          score_gradient_rows(gradient + at, scores + at, p.scale, block.rows, block.keys);
        }
      });
      p.queries_of(grad_q, block).copy_(at::bmm(gradient_NMU, k_NUC));
      const bool first_of_chunk = block.head_in_group == 0 && block.keys == p.length;
      accumulate(p.keys_of(grad_v, block), scores_NMU, grad_out_NMC, first_of_chunk);
      accumulate(p.keys_of(grad_k, block), gradient_NMU, q_NMC, first_of_chunk);
    });
    return {grad_q, grad_k, grad_v};
  }

 private:
  // sum_NUC (+)= weights_NMU^T rows_NMC. The first block of a chunk sees all keys, so it sets what later blocks add to.
  static void accumulate(torch::Tensor sum_NUC, const torch::Tensor& weights_NMU, const torch::Tensor& rows_NMC, bool first) {
    if (first) {
      at::bmm_out(sum_NUC, weights_NMU.transpose(1, 2), rows_NMC);
    } else {
      sum_NUC.add_(at::bmm(weights_NMU.transpose(1, 2), rows_NMC));
    }
  }
};

torch::Tensor rows_of_heads(const torch::Tensor& heads_BHLC) {
  return heads_BHLC.transpose(1, 2).reshape({heads_BHLC.size(0) * heads_BHLC.size(2), -1});
}

}  // namespace

torch::Tensor causal_attention(const Heads& heads) {
  const auto& q = heads.q_BHLC;
  if (q.is_cpu() && q.scalar_type() == torch::kFloat32) {
    return CausalAttention::apply(q.contiguous(), heads.k_BGLC.contiguous(), heads.v_BGLC.contiguous());
  }
  const bool grouped = q.size(1) != heads.k_BGLC.size(1);
  return rows_of_heads(at::scaled_dot_product_attention(q, heads.k_BGLC, heads.v_BGLC, /*attn_mask=*/{}, /*dropout_p=*/0,
                                                        /*is_causal=*/true, /*scale=*/{}, /*enable_gqa=*/grouped));
}

torch::Tensor cached_attention(const Heads& heads) {
  const auto& q = heads.q_BHLC;
  const auto query_heads = q.size(1), rows = q.size(2), width = q.size(3), groups = heads.k_BGLC.size(1), keys = heads.k_BGLC.size(2);
  if (rows == keys) return causal_attention(heads);
  const auto wide = q.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto k_GUC = heads.k_BGLC[0].to(wide), v_GUC = heads.v_BGLC[0].to(wide);
  // The query heads of a group are neighbours, so their rows make one matrix against the group's keys.
  const auto q_GXC = q.to(wide).reshape({groups, query_heads / groups * rows, width});
  auto scores_GXU = at::bmm(q_GXC, k_GUC.transpose(1, 2)).div_(std::sqrt(static_cast<double>(width)));
  if (rows > 1) {
    const auto hidden_MU = torch::ones({rows, keys}, torch::dtype(torch::kBool).device(q.device())).triu(keys - rows + 1);
    scores_GXU.view({query_heads, rows, keys}).masked_fill_(hidden_MU, -std::numeric_limits<double>::infinity());
  }
  const auto out_GXC = at::bmm(scores_GXU.softmax(-1), v_GUC).to(q.scalar_type());
  return rows_of_heads(out_GXC.view({1, query_heads, rows, width}));
}

torch::Tensor causal_attention_reference(const Heads& heads) {
  const auto& q = heads.q_BHLC;
  const auto repeats = q.size(1) / heads.k_BGLC.size(1), length = q.size(2);
  const auto k = heads.k_BGLC.repeat_interleave(repeats, 1), v = heads.v_BGLC.repeat_interleave(repeats, 1);
  const auto hidden = torch::ones({length, length}, torch::dtype(torch::kBool).device(q.device())).triu(1);
  const auto scores = torch::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(q.size(3)));
  return rows_of_heads(torch::matmul(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()).softmax(-1), v));
}

}  // namespace moelab::worker
