#include "worker/ops/causal_attention.h"

#include <doctest/doctest.h>

#include "tests/worker/ops/op_check.h"

using namespace moelab::worker;
using namespace moelab::worker::test;

namespace {

Op attention(bool fused) {
  return [=](const Tensors& in) -> Tensors {
    const Heads heads{in[0], in[1], in[2]};
    return {fused ? causal_attention(heads) : causal_attention_reference(heads)};
  };
}

Tensors heads(std::int64_t batch, std::int64_t query_heads, std::int64_t key_heads, std::int64_t length, std::int64_t width,
              torch::ScalarType type = torch::kFloat32) {
  return {normal({batch, query_heads, length, width}, 1, type), normal({batch, key_heads, length, width}, 2, type),
          normal({batch, key_heads, length, width}, 3, type)};
}

}  // namespace

TEST_CASE("causal attention equals the formula over lengths around the block size, with and without groups") {
  for (const std::int64_t length : {1, 7, 63, 64, 65, 130, 192}) {
    for (const std::int64_t key_heads : {1, 2, 4}) {
      CAPTURE(length);
      CAPTURE(key_heads);
      check_same(attention(true), attention(false), heads(2, 4, key_heads, length, 8), 1e-5);
    }
  }
}

TEST_CASE("causal attention over several chunks of sequences equals the formula") {
  // 40 sequences * 4 heads * 64 rows * 160 keys is more than one chunk of scores.
  check_same(attention(true), attention(false), heads(40, 8, 4, 160, 4), 1e-5);
}

TEST_CASE("causal attention in double has the gradients of finite differences") {
  check_finite_differences(attention(true), heads(1, 4, 2, 5, 4, torch::kFloat64));
}

TEST_CASE("a position does not see later ones") {
  auto in = heads(1, 2, 2, 100, 8);
  const auto before = attention(true)(in)[0];
  in[1].slice(2, 70).add_(5);
  in[2].slice(2, 70).add_(5);
  const auto after = attention(true)(in)[0];
  CHECK(torch::equal(before.slice(0, 0, 70), after.slice(0, 0, 70)));
  CHECK_FALSE(torch::equal(before.slice(0, 70), after.slice(0, 70)));
}

TEST_CASE("the last rows against cached keys equal the last rows of the whole, with and without groups, one row or several") {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    for (const std::int64_t key_heads : {1, 2, 4}) {
      const auto in = heads(1, 4, key_heads, 70, 8, type);
      const auto whole = attention(false)(in)[0];
      for (const std::int64_t rows : {1, 2, 65, 69, 70}) {
        CAPTURE(key_heads);
        CAPTURE(rows);
        const auto last = cached_attention({in[0].narrow(2, 70 - rows, rows), in[1], in[2]});
        CHECK((last.scalar_type() == type));
        CHECK(difference(last, whole.narrow(0, 70 - rows, rows)) <= (type == torch::kFloat64 ? 1e-12 : 1e-5));
      }
    }
  }
}

TEST_CASE("large scores neither overflow nor lose the largest key") {
  auto in = heads(1, 1, 1, 70, 4);
  in[0].mul_(300);
  in[1].mul_(300);
  const auto wide = attention(false)({in[0].to(torch::kFloat64), in[1].to(torch::kFloat64), in[2].to(torch::kFloat64)})[0];
  CHECK(difference(attention(true)(in)[0], wide) <= 1e-3);
}
