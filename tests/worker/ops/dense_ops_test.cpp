// RMSNorm, SwiGLU, RoPE and the attention projections against their references.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/worker/ops/op_check.h"
#include "worker/ops/qkv_heads.h"
#include "worker/ops/rms_norm.h"
#include "worker/ops/rope.h"
#include "worker/ops/swiglu.h"

using namespace moelab::worker;
using namespace moelab::worker::test;

namespace {

constexpr double kEps = 1e-6;

Op norm_op(bool fused, bool with_delta, torch::ScalarType type) {
  return [=](const Tensors& in) -> Tensors {
    const auto delta = with_delta ? in[2] : torch::Tensor();
    const auto out = fused ? add_rms_norm(in[0], delta, in[1], kEps, type) : add_rms_norm_reference(in[0], delta, in[1], kEps, type);
    return {out.normed_TD, out.sum_TD};
  };
}

Op ffn_op(bool fused) {
  return [=](const Tensors& in) -> Tensors {
    return {fused ? swiglu_ffn(in[0], {in[1], in[2], in[3]}) : swiglu_ffn_reference(in[0], {in[1], in[2], in[3]})};
  };
}

Op heads_op(bool fused, std::int64_t batch, std::int64_t head_dim, torch::ScalarType type) {
  const auto table = rope_table(64, head_dim, 1e4, type);
  return [=](const Tensors& in) -> Tensors {
    const QkvWeights weights{in[1], in[2], in[3]};
    const auto heads =
        fused ? qkv_heads(in[0], weights, batch, head_dim, table) : qkv_heads_reference(in[0], weights, batch, head_dim, table);
    return {heads.q_BHLC, heads.k_BGLC, heads.v_BGLC};
  };
}

// Projection, RMSNorm over `group` columns, rotation, in plain operations.
Op normed_heads_op(bool fused, std::int64_t batch, std::int64_t head_dim, torch::ScalarType type) {
  const auto table = rope_table(64, head_dim, 1e4, type);
  return [=](const Tensors& in) -> Tensors {
    const QkvWeights weights{in[1], in[2], in[3]};
    if (fused) {
      const auto heads = normed_qkv_heads(in[0], weights, {in[4], in[5], kEps}, batch, head_dim, table);
      return {heads.q_BHLC, heads.k_BGLC, heads.v_BGLC};
    }
    const auto to_heads = [&](const torch::Tensor& rows) {
      return rows.view({batch, -1, rows.size(1) / head_dim, head_dim}).transpose(1, 2);
    };
    const auto normed = [&](const torch::Tensor& weight, const torch::Tensor& norm) {
      const auto rows = torch::linear(in[0], weight);
      const auto grouped = rows.view({rows.size(0), -1, norm.size(0)});
      const auto scaled = grouped / (grouped.square().mean(2, true) + kEps).sqrt() * norm;
      return rotate_reference(to_heads(scaled.reshape_as(rows)), table);
    };
    return {normed(in[1], in[4]), normed(in[2], in[5]), to_heads(torch::linear(in[0], in[3]))};
  };
}

}  // namespace

TEST_CASE("RMSNorm with and without a residual delta equals the formula") {
  for (const bool with_delta : {false, true}) {
    CAPTURE(with_delta);
    // 70 rows do not divide into the blocks of the weight gradient; 37 columns do not divide into vectors.
    Tensors inputs{normal({70, 37}, 1), normal({37}, 2)};
    if (with_delta) inputs.push_back(normal({70, 37}, 3));
    check_same(norm_op(true, with_delta, torch::kFloat32), norm_op(false, with_delta, torch::kFloat32), inputs, 1e-5);
    for (auto& input : inputs) input = input.to(torch::kFloat64).slice(0, 0, 6).contiguous();
    inputs[0] = inputs[0].slice(1, 0, 6).contiguous();
    if (with_delta) inputs[2] = inputs[2].slice(1, 0, 6).contiguous();
    check_finite_differences(norm_op(true, with_delta, torch::kFloat64), inputs);
  }
}

TEST_CASE("RMSNorm computes in fp32 and rounds once when the output is bf16") {
  const auto x = normal({9, 40}, 4), w = normal({40}, 5), delta = normal({9, 40}, 6).to(torch::kBFloat16);
  const auto ours = add_rms_norm(x, delta, w, kEps, torch::kBFloat16),
             wide = add_rms_norm_reference(x, delta.to(torch::kFloat32), w, kEps, torch::kFloat32);
  CHECK((ours.sum_TD.scalar_type() == torch::kFloat32));
  CHECK(torch::equal(ours.sum_TD, wide.sum_TD));
  CHECK((ours.normed_TD.scalar_type() == torch::kBFloat16));
  CHECK(difference(ours.normed_TD, wide.normed_TD) <= 1.0 / 256);
}

TEST_CASE("RMSNorm passes the stream's gradient on when the norm has none") {
  const auto x = normal({4, 8}, 7).requires_grad_(), delta = normal({4, 8}, 8).requires_grad_(), w = normal({8}, 9).requires_grad_();
  add_rms_norm(x, delta, w, kEps, torch::kFloat32).sum_TD.sum().backward();
  CHECK(torch::equal(x.grad(), torch::ones_like(x)));
  CHECK(torch::equal(delta.grad(), torch::ones_like(x)));
  CHECK(torch::equal(w.grad(), torch::zeros_like(w)));
}

TEST_CASE("the SwiGLU network equals the formula") {
  check_same(ffn_op(true), ffn_op(false),
             {normal({33, 20}, 1), 0.3 * normal({27, 20}, 2), 0.3 * normal({27, 20}, 3), 0.3 * normal({20, 27}, 4)}, 1e-5);
  const auto wide = torch::kFloat64;
  check_finite_differences(ffn_op(true),
                           {normal({3, 4}, 1, wide), normal({5, 4}, 2, wide), normal({5, 4}, 3, wide), normal({4, 5}, 4, wide)});
}

TEST_CASE("SwiGLU stays finite and exact for large gates") {
  const auto gate = torch::tensor({{-200.0F, -90.0F, -20.0F, 0.0F, 20.0F, 90.0F, 200.0F}}), up = torch::ones_like(gate);
  const auto expected = torch::silu(gate.to(torch::kFloat64));
  CHECK(difference(swiglu_activation(gate, up, {}), expected) <= 1e-6);
}

TEST_CASE("projections to rotated heads equal the formula, with grouped key/value heads") {
  const std::int64_t batch = 2, length = 5, width = 12, head_dim = 6;
  const auto inputs = [&](torch::ScalarType type) {
    return Tensors{normal({batch * length, width}, 1, type), normal({4 * head_dim, width}, 2, type), normal({2 * head_dim, width}, 3, type),
                   normal({2 * head_dim, width}, 4, type)};
  };
  check_same(heads_op(true, batch, head_dim, torch::kFloat32), heads_op(false, batch, head_dim, torch::kFloat32), inputs(torch::kFloat32),
             1e-5);
  check_same(heads_op(true, batch, head_dim, torch::kFloat64), heads_op(false, batch, head_dim, torch::kFloat64), inputs(torch::kFloat64),
             1e-12);
}

TEST_CASE("norms of queries and keys, by head and over all heads, equal the formula before the rotation") {
  const std::int64_t batch = 2, length = 4, width = 10, head_dim = 4, heads = 3;
  for (const bool full : {false, true}) {
    CAPTURE(full);
    const auto inputs = [&](torch::ScalarType type) {
      return Tensors{normal({batch * length, width}, 1, type),
                     normal({heads * head_dim, width}, 2, type),
                     normal({head_dim, width}, 3, type),
                     normal({head_dim, width}, 4, type),
                     1 + 0.3 * normal({full ? heads * head_dim : head_dim}, 5, type),
                     1 + 0.3 * normal({head_dim}, 6, type)};
    };
    check_same(normed_heads_op(true, batch, head_dim, torch::kFloat32), normed_heads_op(false, batch, head_dim, torch::kFloat32),
               inputs(torch::kFloat32), 1e-5);
    check_finite_differences(normed_heads_op(true, batch, head_dim, torch::kFloat64), inputs(torch::kFloat64));
  }
}

TEST_CASE("RoPE turns dimension j with j + C/2 by position * theta^(-2j/C)") {
  const auto table = rope_table(4, 4, 100.0, torch::kFloat64);
  // Position 3, pairs (0, 2) and (1, 3): angles 3 and 3 / sqrt(100) = 0.3.
  const auto x = torch::zeros({1, 1, 4, 4}, torch::kFloat64);
  x[0][0][3][0] = 1;
  x[0][0][3][1] = 1;
  const auto turned = rotate_reference(x, table)[0][0][3];
  CHECK(turned[0].item<double>() == doctest::Approx(std::cos(3.0)));
  CHECK(turned[2].item<double>() == doctest::Approx(std::sin(3.0)));
  CHECK(turned[1].item<double>() == doctest::Approx(std::cos(0.3)));
  CHECK(turned[3].item<double>() == doctest::Approx(std::sin(0.3)));
}

TEST_CASE("moving to heads and back is the identity") {
  const auto rows = normal({6, 8}, 3);
  const auto table = rope_table(3, 4, 1e4, torch::kFloat32);
  CHECK(difference(rows_from_heads(heads_from_rows(rows, 2, 2, table), table), rows) <= 1e-6);
  CHECK(torch::equal(rows_from_heads(heads_from_rows(rows, 2, 2, {}), {}), rows));
}
