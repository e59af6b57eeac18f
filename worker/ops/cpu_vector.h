// Owns what the hand-written CPU loops of this folder share: compilation for several instruction sets, a vectorisable
// exponential, and row-parallel execution. Included by the .cpp files of worker/ops only.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <bit>
#include <cstdint>

// Compiles a function once per instruction set; the loader picks the best one the processor has. The wheel's own kernels
// do the same, and a build on one machine must run on another.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MOELAB_CPU_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MOELAB_CPU_CLONES
#endif

namespace moelab::worker::cpu {

// e^x for x <= 88, 0 below -87; within 2 units in the last place. std::exp is a library call that no loop around it can be
// vectorised over. Range reduction to [-ln2/2, ln2/2], then the degree-6 polynomial of the Cephes library.
[[gnu::always_inline]] inline float exp(float x) {
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer held in the low mantissa bits
  constexpr float kLog2E = 1.44269504088896341F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  const float clamped = x > 88.0F ? 88.0F : (x < -87.0F ? -87.0F : x);
  const float shifted = clamped * kLog2E + kRounder;
  const float n = shifted - kRounder;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const auto exponent = (std::bit_cast<std::uint32_t>(shifted) + 127U) << 23U;  // the integer sits in the low bits
  const float result = p * std::bit_cast<float>(exponent);
  return x < -87.0F ? 0.0F : result;
}

[[gnu::always_inline]] inline float sigmoid(float x) {
  return 1.0F / (1.0F + exp(-x));
}

// Runs body(first_row, last_row) on all threads; below about 16k elements a thread's share is not worth waking it.
template <class Body>
void parallel_rows(std::int64_t rows, std::int64_t elements_per_row, const Body& body) {
  const std::int64_t grain = elements_per_row > 0 ? 16384 / elements_per_row + 1 : rows;
  at::parallel_for(0, rows, grain, body);
}

// The hand-written loops take fp32 on the CPU; everything else goes through ATen. An undefined tensor is no obstacle.
inline bool plain_float(const at::Tensor& x) {
  return !x.defined() || (x.is_cpu() && x.scalar_type() == at::kFloat);
}

}  // namespace moelab::worker::cpu
